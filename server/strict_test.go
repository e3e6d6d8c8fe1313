package server_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/playgate/playgate/server"
)

const (
	hostLine = "Host: " + acmeHost + "\r\n"
	jsonLine = "Content-Type: application/json\r\n"
	getLine  = "GET " + aToken + " HTTP/1.1\r\n"
	postHead = "POST /v1/tokens HTTP/1.1\r\n" + hostLine + jsonLine
)

// twoReadings are requests that recipients read in different ways, or that RFC 9112
// and RFC 9110 let a server refuse.
func twoReadings() map[string]string {
	return map[string]string{
		// The request line (RFC 9112 §2.2 and §3).
		"two empty lines before it":            "\r\n\r\n" + getLine + hostLine + "\r\n",
		"a bare LF before it":                  "\n" + getLine + hostLine + "\r\n",
		"a bare CR before it":                  "\r" + getLine + hostLine + "\r\n",
		"a space before it":                    " " + getLine + hostLine + "\r\n",
		"a tab before it":                      "\t" + getLine + hostLine + "\r\n",
		"a bare LF behind it":                  "GET " + aToken + " HTTP/1.1\n" + hostLine + "\r\n",
		"two CR behind it":                     "GET " + aToken + " HTTP/1.1\r\r\n" + hostLine + "\r\n",
		"a space behind it":                    "GET " + aToken + " HTTP/1.1 \r\n" + hostLine + "\r\n",
		"two spaces behind the method":         "GET  " + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"two spaces behind the target":         "GET " + aToken + "  HTTP/1.1\r\n" + hostLine + "\r\n",
		"a tab behind the method":              "GET\t" + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a form feed behind the method":        "GET\f" + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a NUL in the method":                  "GE\x00T " + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a colon in the method":                "GET: " + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"HTTP/0.9":                             "GET " + aToken + "\r\n",
		"HTTP/0.9 with a space":                "GET " + aToken + " \r\n",
		"HTTP/0.9, spelt out":                  "GET " + aToken + " HTTP/0.9\r\n" + hostLine + "\r\n",
		"HTTP/1.2":                             "GET " + aToken + " HTTP/1.2\r\n" + hostLine + "\r\n",
		"HTTP/1.10":                            "GET " + aToken + " HTTP/1.10\r\n" + hostLine + "\r\n",
		"HTTP/2.0":                             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"lower case":                           "GET " + aToken + " http/1.1\r\n" + hostLine + "\r\n",
		"a NUL in the target":                  "GET " + aToken + "?\x00 HTTP/1.1\r\n" + hostLine + "\r\n",
		"a tab in the target":                  "GET " + aToken + "?a\tb HTTP/1.1\r\n" + hostLine + "\r\n",
		"a bare CR in the target":              "GET " + aToken + "?a\rb HTTP/1.1\r\n" + hostLine + "\r\n",
		"a fragment in the target":             "GET " + aToken + "#a HTTP/1.1\r\n" + hostLine + "\r\n",
		"raw UTF-8 in the target":              "GET " + aToken + "?a=\u00e9 HTTP/1.1\r\n" + hostLine + "\r\n",
		"a name as the target":                 "GET nowhere HTTP/1.1\r\n" + hostLine + "\r\n",
		"an asterisk for another method":       "GET * HTTP/1.1\r\n" + hostLine + "\r\n",
		"an authority as the target":           "CONNECT " + acmeHost + ":80 HTTP/1.1\r\n" + hostLine + "\r\n",
		"an authority for another method":      "GET " + acmeHost + ":80 HTTP/1.1\r\n" + hostLine + "\r\n",
		"another scheme":                       "GET ftp://" + acmeHost + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a URL of another host":                "GET http://" + globexHost + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a URL with user information":          "GET http://a@" + acmeHost + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a URL without a host":                 "GET http:///" + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a URL of another host, HTTP/1.0":      "GET http://a@b/ HTTP/1.0\r\n\r\n",
		"a URL of another host in a HEAD":      "HEAD http://" + globexHost + "/ HTTP/1.1\r\n" + hostLine + "\r\n",
		"a URL with a host of two spellings":   "GET http://" + acmeHost + ":80" + aToken + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a URL whose query follows the host":   "GET http://" + globexHost + "?/" + " HTTP/1.1\r\n" + hostLine + "\r\n",
		"a URL with a backslash behind a host": "GET http://" + acmeHost + "\\@" + globexHost + "/ HTTP/1.1\r\n" + hostLine + "\r\n",

		// Host (RFC 9112 §3.2, RFC 9110 §7.2).
		"no Host":                      getLine + "\r\n",
		"no Host in another name":      getLine + "Hos: a\r\nHostt: a\r\n\r\n",
		"an empty Host":                getLine + "Host:\r\n\r\n",
		"two Hosts":                    getLine + hostLine + "Host: " + globexHost + "\r\n\r\n",
		"one Host twice":               getLine + hostLine + "hOST: " + acmeHost + "\r\n\r\n",
		"one Host twice, HTTP/1.0":     "GET " + aToken + " HTTP/1.0\r\n" + hostLine + hostLine + "\r\n",
		"Host with user information":   getLine + "Host: a@" + acmeHost + "\r\n\r\n",
		"Host with a path":             getLine + "Host: " + acmeHost + "/a\r\n\r\n",
		"Host with a space":            getLine + "Host: a " + acmeHost + "\r\n\r\n",
		"Host with a comma":            getLine + "Host: a," + acmeHost + "\r\n\r\n",
		"Host with a percent sign":     getLine + "Host: pl%61y.acme.example\r\n\r\n",
		"Host with a backslash":        getLine + "Host: a\\" + acmeHost + "\r\n\r\n",
		"Host with raw UTF-8":          getLine + "Host: \u00e9.example\r\n\r\n",
		"Host with two ports":          getLine + "Host: " + acmeHost + ":80:80\r\n\r\n",
		"Host with a port of letters":  getLine + "Host: " + acmeHost + ":http\r\n\r\n",
		"Host with a port too long":    getLine + "Host: " + acmeHost + ":000080\r\n\r\n",
		"Host with a port alone":       getLine + "Host: :80\r\n\r\n",
		"Host with half a bracket":     getLine + "Host: [::1\r\n\r\n",
		"Host with a name in brackets": getLine + "Host: [" + acmeHost + "]\r\n\r\n",
		"Host with a zone":             getLine + "Host: [fe80::1%25lo]\r\n\r\n",
		"Host with an IPv6 address":    getLine + "Host: ::1\r\n\r\n",

		// Field lines (RFC 9112 §5, RFC 9110 §5.5).
		"a space before the colon":      getLine + hostLine + "Authorization : a\r\n\r\n",
		"a tab before the colon":        getLine + hostLine + "Authorization\t: a\r\n\r\n",
		"a space in a name":             getLine + hostLine + "X Y: a\r\n\r\n",
		"a space before a name":         getLine + hostLine + " X: a\r\n\r\n",
		"a space before the first name": getLine + " X: a\r\n" + hostLine + "\r\n",
		"no name":                       getLine + hostLine + ": a\r\n\r\n",
		"no colon":                      getLine + hostLine + "X\r\n\r\n",
		"a NUL in a name":               getLine + hostLine + "X\x00Y: a\r\n\r\n",
		"raw UTF-8 in a name":           getLine + hostLine + "X\u00e9: a\r\n\r\n",
		"a bracket in a name":           getLine + hostLine + "X(Y): a\r\n\r\n",
		"a folded value":                getLine + hostLine + "X: a\r\n b\r\n\r\n",
		"a folded value with a tab":     getLine + hostLine + "X: a\r\n\tb\r\n\r\n",
		"a folded empty value":          getLine + hostLine + "X:\r\n \r\n\r\n",
		"a folded Host":                 getLine + "Host: a\r\n .example\r\n\r\n",
		"a bare LF behind a value":      getLine + hostLine + "X: a\n\r\n",
		"a bare LF behind Host":         getLine + "Host: " + acmeHost + "\nX: a\r\n\r\n",
		"a bare CR in a value":          getLine + hostLine + "X: a\rb\r\n\r\n",
		"a bare CR and a name":          getLine + hostLine + "X: a\rContent-Length: 5\r\n\r\n",
		"two CR behind a value":         getLine + hostLine + "X: a\r\r\n\r\n",
		"a NUL in a value":              getLine + hostLine + "X: a\x00b\r\n\r\n",
		"a NUL in a long value":         getLine + hostLine + "X: aaaaaaaaaaaaaaaaaa\x00bbbbbbbbbbbbbbbb\r\n\r\n",
		"an escape in a value":          getLine + hostLine + "X: a\x1bb\r\n\r\n",
		"a DEL in a value":              getLine + hostLine + "X: aaaaaaaaa\x7fbbbbbbbbbbb\r\n\r\n",
		"a bare LF as the end":          getLine + hostLine + "X: a\r\n\n",
		"bare LFs alone":                strings.ReplaceAll(getLine+hostLine+"\r\n", "\r\n", "\n"),
		"a bare CR as the end":          getLine + hostLine + "\rX: a\r\n\r\n",

		// Lengths (RFC 9112 §6.2 and §6.3).
		"two lengths":                       postHead + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"one length twice":                  postHead + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"one length twice in one":           postHead + "Content-Length: 2, 2\r\n\r\n{}",
		"a negative length":                 postHead + "Content-Length: -2\r\n\r\n{}",
		"a length with a plus":              postHead + "Content-Length: +2\r\n\r\n{}",
		"a length with a space":             postHead + "Content-Length: 2 2\r\n\r\n{}",
		"a length with a point":             postHead + "Content-Length: 2.0\r\n\r\n{}",
		"a hexadecimal length":              postHead + "Content-Length: 0x2\r\n\r\n{}",
		"a length with an underscore":       postHead + "Content-Length: 1_0\r\n\r\n{}",
		"a length in other digits":          postHead + "Content-Length: \u0662\r\n\r\n{}",
		"an empty length":                   postHead + "Content-Length:\r\n\r\n{}",
		"a length of spaces":                postHead + "Content-Length:  \t \r\n\r\n{}",
		"a length of 2^64+2":                postHead + "Content-Length: 18446744073709551618\r\n\r\n{}",
		"a length that is folded":           postHead + "Content-Length: 1\r\n 0\r\n\r\n{}",
		"a length with a vertical tab":      postHead + "Content-Length:\v2\r\n\r\n{}",
		"a length and chunks":               postHead + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunks and a length":               postHead + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"a length of 0 and chunks in a GET": getLine + hostLine + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",

		// Transfer codings (RFC 9112 §6.1 and §7).
		"identity":                       postHead + "Transfer-Encoding: identity\r\n\r\n{}",
		"identity and a length":          postHead + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
		"chunked, identity":              postHead + "Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"identity, chunked":              postHead + "Transfer-Encoding: identity, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"gzip, chunked":                  postHead + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked twice":                  postHead + "Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked twice in two":           postHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked and identity in two":    postHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"xchunked":                       postHead + "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunkedx":                       postHead + "Transfer-Encoding: chunkedx\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunk":                          postHead + "Transfer-Encoding: chunk\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunk ed":                       postHead + "Transfer-Encoding: chunk ed\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked in quotes":              postHead + "Transfer-Encoding: \"chunked\"\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked with a parameter":       postHead + "Transfer-Encoding: chunked;a=b\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked with a vertical tab":    postHead + "Transfer-Encoding: \vchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked with a NUL":             postHead + "Transfer-Encoding: chunked\x00\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"an empty coding":                postHead + "Transfer-Encoding:\r\n\r\n{}",
		"chunks in HTTP/1.0":             strings.Replace(postHead, "HTTP/1.1", "HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked behind a space":         postHead + "Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"chunked, folded":                postHead + "Transfer-Encoding:\r\n chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"identity in a GET":              getLine + hostLine + "Transfer-Encoding: identity\r\n\r\n",
		"another coding in another case": postHead + "TRANSFER-ENCODING: Identity\r\n\r\n{}",
	}
}

// badChunks are bodies of a request whose head is in order.
func badChunks() map[string]string {
	return map[string]string{
		"a size that is none":             "zz\r\n{}\r\n0\r\n\r\n",
		"a size with 0x":                  "0x2\r\n{}\r\n0\r\n\r\n",
		"a negative size":                 "-2\r\n{}\r\n0\r\n\r\n",
		"a size with a plus":              "+2\r\n{}\r\n0\r\n\r\n",
		"a size with an underscore":       "0_2\r\n{}\r\n0\r\n\r\n",
		"no size":                         "\r\n{}\r\n0\r\n\r\n",
		"a space before the size":         " 2\r\n{}\r\n0\r\n\r\n",
		"a space behind the size":         "2 \r\n{}\r\n0\r\n\r\n",
		"a tab behind the size":           "2\t\r\n{}\r\n0\r\n\r\n",
		"a size of 2^64+2":                "10000000000000002\r\n{}\r\n0\r\n\r\n",
		"a bare LF behind the size":       "2\n{}\r\n0\r\n\r\n",
		"a bare CR behind the size":       "2\r{}\r\n0\r\n\r\n",
		"a bare LF behind the data":       "2\r\n{}\n0\r\n\r\n",
		"a bare CR behind the data":       "2\r\n{}\r0\r\n\r\n",
		"nothing behind the data":         "2\r\n{}0\r\n\r\n",
		"more data than the size":         "1\r\n{}\r\n0\r\n\r\n",
		"two bytes for CR LF":             "2\r\n{}xx0\r\n\r\n",
		"a bare LF behind the last size":  "2\r\n{}\r\n0\n\r\n",
		"a bare LF as the end":            "2\r\n{}\r\n0\r\n\n",
		"an extension with a bare LF":     "2;a\nb\r\n{}\r\n0\r\n\r\n",
		"an extension with a bare CR":     "2;a\rb\r\n{}\r\n0\r\n\r\n",
		"an extension with a NUL":         "2;a\x00b\r\n{}\r\n0\r\n\r\n",
		"an extension with raw UTF-8":     "2;a=\"\u00e9\"\r\n{}\r\n0\r\n\r\n",
		"a long extension":                "2;" + strings.Repeat("a", 2000) + "\r\n{}\r\n0\r\n\r\n",
		"many extensions":                 strings.Repeat("1;abcdefgh\r\n \r\n", 200) + "2\r\n{}\r\n0\r\n\r\n",
		"an extension behind a space":     "2 ;a\r\n{}\r\n0\r\n\r\n",
		"a length in the trailer":         "2\r\n{}\r\n0\r\nContent-Length: 3\r\n\r\n",
		"a coding in the trailer":         "2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a host in the trailer":           "2\r\n{}\r\n0\r\nHost: a\r\n\r\n",
		"a space in a trailer's name":     "2\r\n{}\r\n0\r\nX Y: a\r\n\r\n",
		"a space behind a trailer's name": "2\r\n{}\r\n0\r\nX : a\r\n\r\n",
		"a folded trailer":                "2\r\n{}\r\n0\r\nX: a\r\n b\r\n\r\n",
		"a bare LF in the trailer":        "2\r\n{}\r\n0\r\nX: a\n\r\n",
		"a NUL in the trailer":            "2\r\n{}\r\n0\r\nX: \x00\r\n\r\n",
	}
}

// TestHTTPWithTwoReadingsIsRefused sends each as the first request of a connection
// and as one that comes with another: 400, and the connection is closed.
func TestHTTPWithTwoReadingsIsRefused(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	cases := twoReadings()
	for name, body := range badChunks() {
		cases[name] = postHead + bearer(acmeViewer) + "\r\nTransfer-Encoding: chunked\r\n\r\n" + body
	}
	first := message("GET", aToken, "", []string{bearer(acmeViewer)})
	for name, bytes := range cases {
		method, _, _ := strings.Cut(bytes, " ")
		for _, before := range []string{"", first} {
			conn := k.begin(k.listener.Dial, before+bytes+getLine+hostLine+"X-Smuggled: 1\r\n\r\n")
			r := bufio.NewReader(conn)
			if before != "" {
				if got := k.read("GET", r); got.StatusCode != 200 || got.Close {
					t.Errorf("%s: the request before it is answered %d (close %v), want 200", name, got.StatusCode, got.Close)
				}
			}
			got := k.read(method, r)
			if got.StatusCode != 400 || method != "HEAD" && got.code() != "invalid_request" || !got.Close {
				t.Errorf("%s: answered %d %q (close %v), want 400 invalid_request and a close: %s", name, got.StatusCode, got.code(), got.Close, got.body)
			}
			checkAnswer(t, got)
			if got.Close {
				if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
					t.Errorf("%s: the connection goes on after the refusal: %q %v", name, rest, err)
				}
			}
			_ = conn.Close()
		}
	}
}

// TestHTTPWithOneReadingIsRead covers what RFC 9112 wants a server to accept.
func TestHTTPWithOneReadingIsRead(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	auth := bearer(acmeViewer) + "\r\n"
	body := `{"playback_id":"P"}`
	chunked := postHead + auth + "Transfer-Encoding: chunked\r\n\r\n"
	for name, bytes := range map[string]string{
		"an empty line before it":         "\r\n" + getLine + hostLine + auth + "\r\n",
		"no space behind colons":          getLine + "Host:" + acmeHost + "\r\n" + auth + "\r\n",
		"white space around values":       getLine + "Host: \t " + acmeHost + " \t \r\n" + auth + "\r\n",
		"names in lower case":             getLine + strings.ToLower(hostLine) + auth + "\r\n",
		"every character in a name":       getLine + hostLine + auth + "!#$%&'*+-.^_`|~09azAZ: a\r\n\r\n",
		"an empty value":                  getLine + hostLine + auth + "X:\r\nY: \r\n\r\n",
		"a tab and raw UTF-8 in a value":  getLine + hostLine + auth + "X: \u00e9\t\u00e9 aaaaaaaaaaaaa\taaaaaaa\r\n\r\n",
		"a port":                          getLine + "Host: " + acmeHost + ":8080\r\n" + auth + "\r\n",
		"a URL":                           "GET http://" + acmeHost + aToken + " HTTP/1.1\r\n" + hostLine + auth + "\r\n",
		"a URL in another case":           "GET HTTP://" + strings.ToUpper(acmeHost) + aToken + " HTTP/1.1\r\n" + hostLine + auth + "\r\n",
		"a URL in HTTP/1.0":               "GET https://" + acmeHost + aToken + " HTTP/1.0\r\n" + auth + "\r\n",
		"HTTP/1.0 that is kept":           "GET " + aToken + " HTTP/1.0\r\n" + hostLine + auth + "Connection: keep-alive\r\n\r\n",
		"a body in a GET":                 getLine + hostLine + auth + "Content-Length: 3\r\n\r\nabc",
		"a body of length 0":              getLine + hostLine + auth + "Content-Length: 0\r\n\r\n",
		"a length with zeros and spaces":  postHead + auth + "content-length: \t 00" + itoa(len(body)) + " \t\r\n\r\n" + body,
		"a body":                          postHead + auth + "Content-Length: " + itoa(len(body)) + "\r\n\r\n" + body,
		"a body that looks like requests": getLine + hostLine + auth + "Content-Length: 24\r\n\r\nGET / HTTP/1.1\nHost: a\r\n",
		"chunks":                          chunked + "5\r\n" + body[:5] + "\r\n" + hexOf(len(body)-5) + "\r\n" + body[5:] + "\r\n0\r\n\r\n",
		"chunks of 1":                     chunked + oneByOne(body) + "0\r\n\r\n",
		"a coding in another case":        postHead + auth + "transfer-encoding: \t ChunKed \t\r\n\r\n" + hexOf(len(body)) + "\r\n" + body + "\r\n000\r\n\r\n",
		"a chunk with extensions":         chunked + hexOf(len(body)) + ";a;b=\"c d\"\t;e=f\r\n" + body + "\r\n0;last\r\n\r\n",
		"a trailer":                       chunked + hexOf(len(body)) + "\r\n" + body + "\r\n0\r\nX: a\r\nY:b\r\n\r\n",
		"a size in upper case":            chunked + strings.ToUpper(hexOf(len(body)+7)) + "\r\n" + body + "       \r\n0\r\n\r\n",
	} {
		method := strings.TrimSpace(bytes)[:strings.IndexByte(strings.TrimSpace(bytes), ' ')]
		after := message("GET", aToken, "", []string{bearer(acmeViewer), "Connection: close"})
		conn := k.begin(k.listener.Dial, bytes+after)
		r := bufio.NewReader(conn)
		if got := k.read(method, r); got.StatusCode != 200 || got.Close && !strings.Contains(bytes, "1.0") {
			t.Errorf("%s: answered %d (close %v), want 200: %s", name, got.StatusCode, got.Close, got.body)
		}
		if !strings.Contains(bytes, "1.0") || strings.Contains(bytes, "keep-alive") {
			if got := k.read("GET", r); got.StatusCode != 200 || !got.Close {
				t.Errorf("%s: the request behind it is answered %d, want 200: %s", name, got.StatusCode, got.body)
			}
		}
		_ = conn.Close()
	}
}

// TestTargetsOfBrowsersAreRead: the URL Standard has them send these as they are.
func TestTargetsOfBrowsersAreRead(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.want(k.get(aToken+"?other={[|^`\\]}", bearer(acmeViewer)), 400, "unknown_param")
}

func oneByOne(text string) string {
	var b strings.Builder
	for _, c := range text {
		b.WriteString("1\r\n" + string(c) + "\r\n")
	}
	return b.String()
}

// TestTheCheckDoesNotDependOnHowBytesArrive compares what a strict connection reads
// whole and byte by byte.
func TestTheCheckDoesNotDependOnHowBytesArrive(t *testing.T) {
	t.Parallel()
	cases := twoReadings()
	for name, body := range badChunks() {
		cases[name] = postHead + "Transfer-Encoding: chunked\r\n\r\n" + body
	}
	cases["well-formed"] = getLine + hostLine + "X: " + strings.Repeat("a", 100) + "\r\n\r\n" +
		postHead + "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: a\r\n\r\n" + postHead + "Content-Length: 9\r\n\r\n123456789" + getLine
	for name, bytes := range cases {
		whole, wantErr := readStrict(strings.NewReader(bytes))
		single, gotErr := readStrict(iotest.OneByteReader(strings.NewReader(bytes)))
		if whole != single || !errors.Is(gotErr, wantErr) {
			t.Errorf("%s: whole %q %v, byte by byte %q %v", name, whole, wantErr, single, gotErr)
		}
	}
}

// readStrict reads through a strict connection to its end.
func readStrict(r io.Reader) (string, error) {
	b, err := io.ReadAll(server.NewStrictConn(readerConn{Reader: r}))
	return string(b), err
}

type readerConn struct {
	net.Conn // nil
	io.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// TestMalformedHTTPOverTLSIsRefused: the check stands above TLS.
func TestMalformedHTTPOverTLSIsRefused(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = k.server.Serve(l, selfSigned(t)) }()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, message("GET", aToken, "", []string{bearer(acmeViewer)})+getLine+hostLine+"X : a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	k.want(k.read("GET", r), 200, "")
	k.want(k.read("GET", r), 400, "invalid_request")
}

// selfSigned returns a TLS configuration with a certificate of its own.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{acmeHost}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}
}
