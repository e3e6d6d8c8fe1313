package keystore

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	pemBegin  = "-----BEGIN "
	pemEnd    = "-----END "
	pemDashes = "-----"
	// maxLine is the longest line that tools write: PEM has 64 characters a line
	// (RFC 7468 §2), MIME 76.
	maxLine = 76

	byteOrderMark = "\ufeff"
)

var (
	errDamaged   = errors.New("is truncated or damaged PEM")
	errDecrypt   = errors.New("remove the passphrase: openssl rsa -in KEY -out PLAIN")
	errEncrypted = fmt.Errorf("is encrypted; %w", errDecrypt)
)

// armor takes the text off that surrounds a key's DER, and keeps what it had to
// repair.
type armor struct{ repairs []string }

// note adds a repair, once.
func (a *armor) note(is bool, repair string) {
	if is && !slices.Contains(a.repairs, repair) {
		a.repairs = append(a.repairs, repair)
	}
}

// open takes off one layer of base64, if there is one, and returns the one PEM
// block in material.
func (a *armor) open(material string) (*pem.Block, error) {
	text := a.lines(material)
	switch {
	case text == "":
		return nil, errors.New("is empty")
	case strings.Contains(text, pemBegin):
		return a.onlyBlock(text)
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return nil, errors.New("is UTF-16 text; want UTF-8")
	}
	if _, err := asn1.Unmarshal([]byte(material), new(asn1.RawValue)); err == nil && material[0] == 0x30 {
		return nil, bareDER([]byte(material), "is DER", "openssl rsa -inform DER -in KEY -out PEM")
	}
	once, ok := a.unbase64(text)
	if !ok {
		return nil, noArmor(text)
	}
	if strings.Contains(once, pemBegin) {
		return a.onlyBlock(a.lines(once))
	}
	if twice, ok := new(armor).unbase64(once); ok && strings.Contains(twice, pemBegin) {
		return nil, errors.New("is base64 of base64 of PEM; decode it once")
	}
	if elements([]byte(once)) != nil {
		return nil, bareDER([]byte(once), "is base64 of DER, not of PEM", "base64 -d KEY | openssl rsa -inform DER -out PEM")
	}
	return nil, errors.New("is base64, but not of PEM")
}

// lines returns text with its lines as they are meant, less what may surround
// it. Neither PEM nor base64 has a backslash or a quotation mark of its own.
func (a *armor) lines(text string) string {
	text = strings.TrimSpace(text)
	if rest, marked := strings.CutPrefix(text, byteOrderMark); marked {
		a.note(true, "a byte order mark")
		text = strings.TrimSpace(rest)
	}
	if n := len(text); n > 1 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		a.note(true, "quotation marks around it")
		text = text[1 : n-1]
	}
	if strings.Contains(text, `\`) {
		text = a.unescape(text)
	}
	text = strings.TrimSpace(text)
	if strings.Contains(text, "\r") {
		a.note(true, "line ends with a carriage return")
		text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	}
	return text
}

// unescape resolves the escapes of JSON strings, however often their backslashes
// were escaped again, and the backslash by which a shell continues a line.
func (a *armor) unescape(text string) string {
	broken := regexp.MustCompile(`\\+(r\\+n|[nr]|\r?\n)`).ReplaceAllLiteralString(text, "\n")
	a.note(broken != text, `line breaks written as \n`)
	plain := strings.NewReplacer(`\/`, "/", `\u002b`, "+", `\u002B`, "+").Replace(broken)
	a.note(plain != broken, "characters escaped as in JSON")
	return plain
}

// unbase64 decodes base64 in either alphabet, broken into lines or not, with or
// without its padding.
func (a *armor) unbase64(text string) (string, bool) {
	joined := strings.Join(strings.Fields(text), "")
	a.note(joined != text, "white space within its base64")
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(joined)
	a.note(standard != joined, "base64 of the URL-safe alphabet")
	bare := strings.TrimRight(standard, "=")
	a.note(len(bare)%4 != 0 && len(standard)%4 != 0, "base64 without its padding")
	decoded, err := base64.RawStdEncoding.DecodeString(bare)
	return string(decoded), err == nil && len(decoded) > 0
}

// onlyBlock decodes the one PEM block that text may hold. pem.Decode would skip
// a damaged block and anything around a good one, and wants every line break in
// its place.
func (a *armor) onlyBlock(text string) (*pem.Block, error) {
	if strings.Contains(text, "-----BEGIN EC ") { // openssl ecparam writes two blocks
		return nil, otherContent(ecSEC1, "is")
	}
	if n := strings.Count(text, pemBegin); n > 1 {
		return nil, fmt.Errorf("holds %d PEM blocks; want one private key alone", n)
	}
	text, ok := strings.CutPrefix(text, pemBegin)
	if !ok {
		return nil, errors.New("has text before the key; want one private key alone")
	}
	label, text, _ := strings.Cut(text, pemDashes)
	body, text, _ := strings.Cut(text, pemEnd)
	end, after, complete := strings.Cut(text, pemDashes)
	switch {
	case !complete || end != label:
		return nil, errDamaged
	case strings.TrimSpace(after) != "":
		return nil, errors.New("has text after the key; want one private key alone")
	case strings.Contains(body, ",ENCRYPTED"), strings.Contains(body, "DEK-Info:"): // RFC 1421 §4.6
		return nil, errEncrypted
	}
	if headers, data, found := strings.Cut(body, "\n\n"); found && strings.Contains(headers, ":") {
		body = "\n" + data
	}
	a.inspect(body)
	der, ok := a.unbase64(strings.Join(strings.Fields(body), ""))
	if !ok {
		return nil, errDamaged
	}
	return &pem.Block{Type: label, Bytes: []byte(der)}, nil
}

// inspect notes what is wrong with the lines between the labels of a PEM block;
// body begins and ends beside a label.
func (a *armor) inspect(body string) {
	lines := strings.Split(body, "\n")
	if len(lines) == 1 {
		blank := strings.ContainsFunc(strings.TrimSpace(body), unicode.IsSpace)
		a.note(blank, "spaces in place of its line breaks")
		a.note(!blank, "no line breaks")
		return
	}
	for i, line := range lines {
		text := strings.TrimLeftFunc(line, unicode.IsSpace)
		first, last := i == 0, i == len(lines)-1
		a.note(text != line && !first, "indented lines")
		a.note(strings.ContainsFunc(text, unicode.IsSpace) || text != line && first, "spaces within its lines")
		a.note(text != "" && (first || last), "no line break beside its label")
		a.note(text == "" && !first && !last, "empty lines")
		a.note(len(text) > maxLine, "lines of more than 76 characters")
	}
}
