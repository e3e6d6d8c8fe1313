package identity

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// gzipMagic begins whatever gzip has compressed (RFC 1952 §2.3.1), and no JSON.
const gzipMagic = "\x1f\x8b"

// decode returns the response's body without its content coding (RFC 9110 §8.4).
// Whether gzip was applied is read from the bytes: files are published with the
// coding and without its header, and proxies decode and keep the header. It
// takes at most maxKeySet compressed bytes; the caller bounds what comes out.
func decode(response *http.Response) (io.Reader, error) {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(response.Header.Values("Content-Encoding"), ",")))
	body := bufio.NewReader(response.Body)
	compressed := io.LimitReader(body, maxKeySet)
	start, _ := body.Peek(len(gzipMagic)) // an error is met again by whoever reads
	switch coding {
	case "", "identity", "gzip", "x-gzip":
		if string(start) != gzipMagic {
			return body, nil
		}
		decoded, err := gzip.NewReader(compressed)
		if err != nil {
			return nil, fmt.Errorf("decompressing: %w", err)
		}
		return decoded, nil
	case "deflate":
		if len(start) < 2 || !isZlib(start) {
			return flate.NewReader(compressed), nil // some servers leave zlib's frame out
		}
		decoded, err := zlib.NewReader(compressed)
		if err != nil {
			return nil, fmt.Errorf("decompressing: %w", err)
		}
		return decoded, nil
	}
	return nil, fmt.Errorf("the content coding %.40q is not supported; want gzip, deflate or none", coding)
}

// isZlib reports whether the bytes begin zlib's format (RFC 1950 §2.2).
func isZlib(start []byte) bool {
	return start[0]&0x0f == 8 && (int(start[0])<<8|int(start[1]))%31 == 0
}
