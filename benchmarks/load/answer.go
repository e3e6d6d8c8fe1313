package load

import (
	"bytes"
	"errors"
	"fmt"
)

// claim is a token of an answer and where the answer says that it is good for.
type claim struct {
	kind  tokenKind
	token []byte
}

type tokenKind uint8

const (
	video tokenKind = iota
	thumbnail
	storyboard
)

func (k tokenKind) String() string {
	return [...]string{"video", "thumbnail", "storyboard"}[k]
}

// url returns what a player would open with the token.
func (k tokenKind) url(dst []byte, id uint32, token []byte) []byte {
	host := [...]string{"https://stream.mux.com/", "https://image.mux.com/", "https://image.mux.com/"}[k]
	file := [...]string{".m3u8?token=", "/thumbnail.webp?token=", "/storyboard.vtt?token="}[k]
	dst = appendID(append(dst, host...), id)
	return append(append(dst, file...), token...)
}

// expected returns the tokens that the answer to a kind of request must have.
func (k Kind) expected() []tokenKind {
	if k == Bundle {
		return []tokenKind{video, thumbnail, storyboard}
	}
	return []tokenKind{video}
}

var errShape = errors.New("the answer has not the shape of contract §4")

// readTokens finds the tokens in an answer's body without decoding it, which
// the generator has no time for: type, token and url follow each other. Anything
// else than what was asked for, in that order, is an error.
func readTokens(dst []claim, body []byte, r Request) ([]claim, error) {
	var buffer [2048]byte
	for _, kind := range r.Kind.expected() {
		name, rest, ok := member(body, `"type":"`)
		if !ok || string(name) != kind.String() {
			return nil, fmt.Errorf("%w: want a token of type %s", errShape, kind)
		}
		token, rest, ok := member(rest, `"token":"`)
		if !ok {
			return nil, fmt.Errorf("%w: no token", errShape)
		}
		url, rest, ok := member(rest, `"url":"`)
		if !ok || !bytes.Equal(url, kind.url(buffer[:0], r.ID, token)) {
			return nil, fmt.Errorf("%w: the URL is not that of the token: %.60s", errShape, url)
		}
		dst, body = append(dst, claim{kind, token}), rest
	}
	if _, _, more := member(body, `"token":"`); more {
		return nil, fmt.Errorf("%w: more tokens than asked for", errShape)
	}
	return dst, nil
}

// member returns the string after a name, and what follows.
func member(b []byte, name string) (value, rest []byte, ok bool) {
	start := bytes.Index(b, []byte(name))
	if start < 0 {
		return nil, nil, false
	}
	b = b[start+len(name):]
	end := bytes.IndexByte(b, '"')
	if end < 0 {
		return nil, nil, false
	}
	return b[:end], b[end+1:], true
}

// readLocation takes the token out of a redirect.
func readLocation(dst []claim, location []byte, r Request) ([]claim, error) {
	_, token, ok := bytes.Cut(location, []byte("?token="))
	var buffer [2048]byte
	if !ok || !bytes.Equal(location, video.url(buffer[:0], r.ID, token)) {
		return nil, fmt.Errorf("%w: the redirect goes to %.60s", errShape, location)
	}
	return append(dst, claim{video, token}), nil
}
