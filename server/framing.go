package server

import (
	"encoding/binary"
	"strings"
)

// framing checks the bytes that a client sends against the grammar of HTTP/1.1
// messages (RFC 9112) before fasthttp parses them. fasthttp follows the leniency
// that RFC 9112 allows a recipient: line ends without CR, folded field lines,
// spaces in field names, any chunk extension. A proxy in front that reads such
// bytes in another way takes one request for two, or two for one (RFC 9112 §11.2).
// framing accepts only what has one reading, and it knows where each message ends.
//
// A framing belongs to one connection and is not safe for concurrent use. It holds
// no bytes of a message, so that it needs the same memory for any.
type framing struct {
	// step checks bytes from where the last one ended, and returns how many are
	// good: all, those up to the end of an element, or those up to a fault.
	step func(f *framing, p []byte) (int, error)

	n       int   // bytes of the element so far: a name, a size, …
	length  int64 // of the body, or of the chunk, that is still to come
	started bool  // the request line has begun
	blank   bool  // an empty line came before the request line
	old     bool  // HTTP/1.0
	trailer bool  // the field lines are those of a chunked body's trailer section

	host, sized, chunked bool // there was Host, Content-Length, Transfer-Encoding

	extensions int               // bytes of the body's chunk extensions
	name       [longestName]byte // the field name's beginning
}

// A framingError says what about a message is malformed. It quotes nothing of it.
type framingError string

func (e framingError) Error() string { return string(e) }

const (
	errRequestLine framingError = "the request line is not a method, a target and HTTP/1.1 or HTTP/1.0 between single spaces"
	errLineEnd     framingError = "a line does not end in CR LF"
	errFolded      framingError = "a field line begins with white space"
	errFieldName   framingError = "a field name is empty, or has a space or another character that is not allowed in it"
	errFieldValue  framingError = "a field value has a control character"
	errLength      framingError = "Content-Length is not one number"
	errCoding      framingError = "Transfer-Encoding is not chunked alone"
	errCodingOld   framingError = "Transfer-Encoding in a request of HTTP/1.0"
	errHosts       framingError = "there is not exactly one Host"
	errBoth        framingError = "there are both Content-Length and Transfer-Encoding"
	errTrailer     framingError = "the trailer section has a field that says how to read the message"
	errChunk       framingError = "a chunk does not have the size that it declares, or its size is not a hexadecimal number"
	errExtension   framingError = "the chunk extensions are too long, or have a control character"
)

const (
	versionLine = "HTTP/1.1\r\n"
	chunked     = "chunked"
	longestName = len("transfer-encoding")

	// Numbers of this many digits fit into an int64 and are larger than any body.
	maxLengthDigits = 18
	maxChunkDigits  = 15
	// maxExtensions bounds the chunk extensions of a body (RFC 9112 §7.1.1). Nobody
	// is known to use any.
	maxExtensions = 1 << 10
)

func newFraming() framing { return framing{step: (*framing).begin} }

// check returns how many of the bytes are part of well-formed messages. An error
// belongs to the byte behind them.
func (f *framing) check(p []byte) (int, error) {
	good := 0
	for good < len(p) {
		n, err := f.step(f, p[good:])
		good += n
		if err != nil {
			return good, err
		}
	}
	return good, nil
}

// next begins another element.
func (f *framing) next(step func(*framing, []byte) (int, error)) {
	f.step, f.n = step, 0
}

// begin is where a message may begin. One empty line before it is ignored, as
// RFC 9112 §2.2 recommends.
func (f *framing) begin(p []byte) (int, error) {
	if p[0] == '\r' && !f.blank {
		f.blank = true
		f.next((*framing).blankEnd)
		return 1, nil
	}
	f.next((*framing).method)
	return 0, nil
}

func (f *framing) blankEnd(p []byte) (int, error) {
	if p[0] != '\n' {
		return 0, errLineEnd
	}
	f.next((*framing).method)
	return 1, nil
}

func (f *framing) method(p []byte) (int, error) {
	n := span(p, tokenByte)
	f.n += n
	f.started = f.started || n > 0
	switch {
	case n == len(p):
		return n, nil
	case p[n] != ' ' || f.n == 0:
		return n, errRequestLine
	}
	f.next((*framing).target)
	return n + 1, nil
}

// target checks the characters of the request target; checkTarget, its form.
func (f *framing) target(p []byte) (int, error) {
	n := span(p, targetByte)
	f.n += n
	switch {
	case n == len(p):
		return n, nil
	case p[n] != ' ' || f.n == 0:
		return n, errRequestLine
	}
	f.next((*framing).version)
	return n + 1, nil
}

func (f *framing) version(p []byte) (int, error) {
	for i, c := range p {
		want := versionLine[f.n]
		if f.n == len("HTTP/1.") && c == '0' {
			f.old, want = true, '0'
		}
		if c != want {
			return i, errRequestLine
		}
		if f.n++; f.n == len(versionLine) {
			f.next((*framing).fieldLine)
			return i + 1, nil
		}
	}
	return len(p), nil
}

// fieldLine is where a field line begins, or the empty line behind the last one.
func (f *framing) fieldLine(p []byte) (int, error) {
	switch p[0] {
	case '\r':
		f.next((*framing).headEnd)
		return 1, nil
	case ' ', '\t':
		return 0, errFolded
	}
	f.next((*framing).fieldName)
	return 0, nil
}

func (f *framing) fieldName(p []byte) (int, error) {
	n := span(p, tokenByte)
	if f.n < longestName {
		copy(f.name[f.n:], p[:n])
	}
	f.n += n
	switch {
	case n == len(p):
		return n, nil
	case p[n] != ':' || f.n == 0:
		return n, errFieldName
	}
	if err := f.named(); err != nil {
		return n, err
	}
	return n + 1, nil
}

// named begins the value of the field whose name is complete.
func (f *framing) named() error {
	length := f.n
	f.next((*framing).fieldValue)
	switch {
	case length == len("host") && f.isNamed("host"):
		return f.once(&f.host, errHosts)
	case length == len("content-length") && f.isNamed("content-length"):
		f.step = (*framing).lengthValue
		return f.once(&f.sized, errLength)
	case length == len("transfer-encoding") && f.isNamed("transfer-encoding"):
		if f.old {
			return errCodingOld
		}
		f.step = (*framing).codingValue
		return f.once(&f.chunked, errCoding)
	}
	return nil
}

// isNamed reports whether the field name begins with a name in lower case.
func (f *framing) isNamed(name string) bool {
	for i := range len(name) {
		if f.name[i]|0x20 != name[i] { // no other byte of a token is made a letter by it
			return false
		}
	}
	return true
}

// once notes a field that decides how the message is read. Even two that are equal
// are refused, which RFC 9110 §8.6 and RFC 9112 §3.2 allow or demand.
func (f *framing) once(seen *bool, again framingError) error {
	switch {
	case f.trailer:
		return errTrailer
	case *seen:
		return again
	}
	*seen = true
	return nil
}

func (f *framing) fieldValue(p []byte) (int, error) {
	n := textLength(p)
	switch {
	case n == len(p):
		return n, nil
	case p[n] == '\n':
		return n, errLineEnd
	case p[n] != '\r':
		return n, errFieldValue
	}
	f.next((*framing).lineEnd)
	return n + 1, nil
}

func (f *framing) lineEnd(p []byte) (int, error) {
	if p[0] != '\n' {
		return 0, errLineEnd
	}
	f.next((*framing).fieldLine)
	return 1, nil
}

// lengthValue checks a Content-Length: digits, with white space around.
func (f *framing) lengthValue(p []byte) (int, error) {
	const ended = maxLengthDigits + 1 // white space came behind the digits
	for i, c := range p {
		switch {
		case '0' <= c && c <= '9' && f.n < maxLengthDigits:
			f.length = 10*f.length + int64(c-'0')
			f.n++
		case (c == ' ' || c == '\t') && f.n > 0:
			f.n = ended
		case (c == ' ' || c == '\t') && f.n == 0:
		case c == '\r' && f.n > 0:
			f.next((*framing).lineEnd)
			return i + 1, nil
		default:
			return i, errLength
		}
	}
	return len(p), nil
}

// codingValue checks a Transfer-Encoding: the word "chunked", with white space
// around.
func (f *framing) codingValue(p []byte) (int, error) {
	for i, c := range p {
		switch {
		case f.n < len(chunked) && c|0x20 == chunked[f.n]:
			f.n++
		case (c == ' ' || c == '\t') && (f.n == 0 || f.n == len(chunked)):
		case c == '\r' && f.n == len(chunked):
			f.next((*framing).lineEnd)
			return i + 1, nil
		default:
			return i, errCoding
		}
	}
	return len(p), nil
}

// headEnd ends the header section, or the trailer section.
func (f *framing) headEnd(p []byte) (int, error) {
	switch {
	case p[0] != '\n':
		return 0, errLineEnd
	case f.trailer:
		*f = newFraming()
		return 1, nil
	case !f.host && !f.old:
		return 0, errHosts
	case f.sized && f.chunked:
		return 0, errBoth
	case f.chunked:
		f.next((*framing).chunkSize)
	case f.length > 0:
		f.next((*framing).body)
	default:
		*f = newFraming()
	}
	return 1, nil
}

// textLength returns how many bytes there are before the first that no field
// value has (RFC 9110 §5.5): a control character other than HTAB.
func textLength(p []byte) int {
	n := 0
	for n < len(p) {
		if len(p)-n >= 8 && !hasControl(binary.LittleEndian.Uint64(p[n:])) {
			n += 8
			continue
		}
		for end := min(n+8, len(p)); n < end; n++ {
			if c := p[n]; c < ' ' && c != '\t' || c == 0x7f {
				return n
			}
		}
	}
	return n
}

// hasControl reports whether one of eight bytes is below 0x20 or 0x7f, HTAB too.
func hasControl(word uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	low := (word - 0x20*ones) & ^word
	del := word ^ 0x7f*ones
	return (low | (del-ones) & ^del)&highs != 0
}

// Classes of bytes.
const (
	tokenByte  = 1 << iota // of a token (RFC 9110 §5.6.2)
	targetByte             // of a request target: RFC 3986, and what browsers send as it is (URL Standard)
)

// byteClasses are the classes of each byte.
var byteClasses = classify() //nolint:gochecknoglobals // a constant table

func classify() (classes [256]byte) {
	for c := byte('!'); c <= '~'; c++ {
		if !strings.ContainsRune("\"(),/:;<=>?@[\\]{}", rune(c)) {
			classes[c] |= tokenByte
		}
		if !strings.ContainsRune("\"#<>", rune(c)) {
			classes[c] |= targetByte
		}
	}
	return classes
}

// span returns how many bytes of a class p begins with.
func span(p []byte, class byte) int {
	for n, c := range p {
		if byteClasses[c]&class == 0 {
			return n
		}
	}
	return len(p)
}
