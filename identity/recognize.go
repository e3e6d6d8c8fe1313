package identity

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// recognize returns what is wrong with a document that is no key set, in the
// words of the mistake that was probably made. location is the URL that it came
// from, "" for a file.
func recognize(body []byte, location string) error {
	if found := recognizeText(bytes.TrimSpace(body)); found != nil {
		return found
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err == nil && list != nil {
		return errors.New(`this is a JSON array; a key set is an object with it as its member keys: {"keys":[…]}`)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return fmt.Errorf("reading the key set: %w", err)
	}
	switch {
	case isText(members["jwks_uri"]):
		return fmt.Errorf("this is the issuer's discovery document, not its key set; %s",
			meant(textOf(members["jwks_uri"]), "the key set is at the URL that it names as jwks_uri"))
	case isText(members["kty"]):
		return errors.New(`this is one key; a key set is an object with an array of them: {"keys":[…]}`)
	case isCertificateMap(members):
		return fmt.Errorf("this is a map of PEM certificates or keys, not a JSON Web Key Set; %s",
			meant(keySetInstead(location), "the key set is at the jwks_uri of the issuer's discovery document"))
	}
	return errors.New("the key set has no array named keys")
}

// recognizeText knows documents that are not JSON.
func recognizeText(body []byte) error {
	switch {
	case len(body) == 0:
		return errors.New("the document is empty")
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}), bytes.HasPrefix(body, []byte{0xfe, 0xff}):
		return errors.New("the document is UTF-16; JSON is UTF-8 (RFC 8259 §8.1)")
	case bytes.HasPrefix(body, []byte(gzipMagic)):
		return errors.New("the document is compressed by gzip; decompress it")
	case bytes.HasPrefix(body, []byte("<?xml")):
		return errors.New("this is an XML document, such as SAML's metadata, not a key set")
	case body[0] == '<':
		return errors.New("this is an HTML or XML page, not a key set")
	case bytes.HasPrefix(body, []byte("-----BEGIN ")):
		if block, _ := pem.Decode(body); block != nil {
			return fmt.Errorf("this is a %.40q in PEM, not a JSON Web Key Set", block.Type)
		}
		return errors.New("this is PEM, not a JSON Web Key Set")
	}
	return nil
}

// isCertificateMap reports whether a document has PEM under each name, as
// Google publishes its keys beside the key set.
func isCertificateMap(members map[string]json.RawMessage) bool {
	for _, value := range members {
		if !strings.HasPrefix(textOf(value), "-----BEGIN ") {
			return false
		}
	}
	return len(members) > 0
}

func isText(raw json.RawMessage) bool { return textOf(raw) != "" }

func textOf(raw json.RawMessage) (text string) {
	if err := json.Unmarshal(raw, &text); err != nil {
		return ""
	}
	return text
}

// meant words which URL was probably meant, otherwise where none can be named.
// The URL may come from the document: it is shown only if a key set could be
// fetched from it, and without its query.
func meant(text, otherwise string) string {
	u, err := parseJWKSURL(text)
	if err != nil || len(text) > maxShownURL {
		return otherwise
	}
	return fmt.Sprintf("jwks_url is probably meant to be %q", u.Scheme+"://"+u.Host+u.EscapedPath())
}

const maxShownURL = 256

// keySetInstead returns the key set's URL where location is that of the same
// keys in another form, "" if none is known. Google publishes both.
func keySetInstead(location string) string {
	if account, ok := strings.CutPrefix(location, "https://www.googleapis.com/robot/v1/metadata/x509/"); ok {
		return "https://www.googleapis.com/service_accounts/v1/jwk/" + account
	}
	switch location {
	case "https://www.googleapis.com/oauth2/v1/certs":
		return "https://www.googleapis.com/oauth2/v3/certs"
	case "https://www.googleapis.com/identitytoolkit/v3/relyingparty/publicKeys":
		return "https://identitytoolkit.googleapis.com/v1/sessionCookiePublicKeys"
	case "https://www.gstatic.com/iap/verify/public_key":
		return "https://www.gstatic.com/iap/verify/public_key-jwk"
	}
	return ""
}

// Misdirected says why a jwks_url that is well formed cannot be a key set's,
// judged by the URL alone; "" if nothing is known against it.
func Misdirected(jwksURL string) string {
	u, err := url.Parse(jwksURL)
	if err != nil {
		return ""
	}
	path := strings.TrimSuffix(u.Path, "/")
	if strings.HasSuffix(path, "/.well-known/openid-configuration") || strings.Contains(path, "/.well-known/oauth-authorization-server") {
		return "is the address of a discovery document; the key set is at the jwks_uri that it names"
	}
	if right := keySetInstead(u.Scheme + "://" + u.Host + u.EscapedPath()); right != "" {
		return "serves a map of PEM certificates or keys, not a JSON Web Key Set; " + meant(right, "")
	}
	return ""
}
