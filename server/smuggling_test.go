package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hostile returns what clients send to smuggle requests past a proxy: each request
// that has two readings, then mutations of them, as many as wanted.
func hostile(mutations int) []string {
	const chunked = "POST /post HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\n\r\n"
	cases := twoReadings()
	for name, body := range badChunks() {
		cases[name] = chunked + body
	}
	const smuggled = "GET /smuggled HTTP/1.1\r\n" + hostLine + "\r\n"
	out := []string{
		chunked + "5\r\nhello\r\n0\r\n\r\n",
		chunked + "5;a=b\r\nhello\r\n0\r\nX: a\r\n\r\n",
		"POST /post HTTP/1.1\r\n" + hostLine + "Content-Length: " + strconv.Itoa(len(smuggled)) + "\r\n\r\n" + smuggled,
		"GET /get HTTP/1.1\r\n" + hostLine + "Content-Length: " + strconv.Itoa(len(smuggled)) + "\r\n\r\n" + smuggled,
		"POST /post HTTP/1.1\r\n" + hostLine + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
		"HEAD /head HTTP/1.1\r\n" + hostLine + "Connection: X-Front-Mark, X-Front-Id, Content-Length, Host\r\n\r\n",
		"GET /upgrade HTTP/1.1\r\n" + hostLine + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
		"POST /post HTTP/1.1\r\n" + hostLine + "Content_Length: 3\r\nTransfer_Encoding: chunked\r\n\r\n" + smuggled,
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		out = append(out, strings.NewReplacer(aToken, "/get", "/v1/tokens", "/post").Replace(cases[name])+smuggled)
	}
	random := rand.New(rand.NewPCG(16, 8))
	for base := len(out); len(out) < base+mutations; {
		text := out[random.IntN(base)]
		for range 1 + random.IntN(3) {
			text = mutate(random, text)
		}
		out = append(out, text)
	}
	return out
}

// mutate changes the text where parsers disagree.
func mutate(random *rand.Rand, text string) string {
	at := random.IntN(len(text))
	lines := strings.SplitAfter(text, "\n")
	line := random.IntN(len(lines))
	insert := []string{
		"\r", "\n", "\r\n", " ", "\t", "\x00", "\v", "\f", "\x7f", "\x85", "\xa0", ":", ",", ";", "0", "-", "+", "_",
		"\r\nTransfer-Encoding: chunked", "\r\nContent-Length: 7", "\r\n chunked", "\r\nTransfer-Encoding:\vchunked", "\r\nContent-Length: 0",
		"\r\nConnection: close", "\r\nExpect: 100-continue",
	}
	switch random.IntN(6) {
	case 0: // without a byte
		return text[:at] + text[at+1:]
	case 1: // a line twice
		lines = slices.Insert(lines, line, lines[line])
	case 2: // another order
		other := random.IntN(len(lines))
		lines[line], lines[other] = lines[other], lines[line]
	case 3: // another line end
		ends := []string{"\n", "\r", "\r\r\n", "\n\r", " \r\n", "\r\n ", "\x00\r\n"}
		lines[line] = strings.TrimRight(lines[line], "\r\n") + ends[random.IntN(len(ends))]
	case 4: // in another case
		lines[line] = strings.ToUpper(lines[line])
	default:
		return text[:at] + insert[random.IntN(len(insert))] + text[at:]
	}
	return strings.Join(lines, "")
}

// behind is a server behind a front, over connections that the front keeps.
type behind struct {
	t       testing.TB
	front   string
	address string
	witness *witness
	probes  int
}

// putBehind starts both. distort changes what the server reads; nil: nothing does.
func putBehind(t testing.TB, f *front, distort func(net.Listener) net.Listener) *behind {
	t.Helper()
	b := &behind{t: t, front: f.name, witness: &witness{mark: "5ec2e7", seen: map[string]bool{}}}
	k := start(t, options{pages: map[string]http.Handler{"/": b.witness}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if distort != nil {
		l = distort(l)
	}
	go func() { _ = k.server.Serve(l, nil) }()
	b.address = f.start(t, address, b.witness.mark)
	return b
}

// send sends bytes between two good requests on one connection, and a good one on
// another, and returns what went wrong: an answer that is not that to the request
// which the front takes it for, or a request that the front has not sent.
func (b *behind) send(t *testing.T, sent string) (faults []string) {
	t.Helper()
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { // answers come before the end, and a refusal ends the connection
		_, _ = io.WriteString(conn, message("GET", "/before", "", nil)+sent+message("POST", "/after", "hello", []string{"Connection: close"}))
	}()
	r := bufio.NewReader(conn)
	methods := methodsOf(sent)
	for n := 0; ; n++ {
		method := "GET"
		if n > 0 && n <= len(methods) {
			method = methods[n-1]
		}
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			break // the end: the front closes a connection that it cannot read
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if echo := res.Header[echoField]; len(echo) > 0 && !slices.Equal(echo, res.Header[answerField]) {
			faults = append(faults, fmt.Sprintf("the answer to %v was taken for that to %v", echo, res.Header[answerField]))
		}
	}
	if got, want := b.probe(t); got != want {
		faults = append(faults, fmt.Sprintf("a good request is answered %q, want %q", got, want))
	}
	return append(faults, b.witness.take()...)
}

func (b *behind) check(t *testing.T, sent string) {
	t.Helper()
	for _, fault := range b.send(t, sent) {
		t.Errorf("behind %s, after %q: %s", b.front, sent, fault)
	}
}

// methodsOf returns the methods of the answers that may come to the bytes, so that
// those to HEAD are not waited for.
func methodsOf(sent string) []string {
	var out []string
	for line := range strings.Lines(sent) {
		if method, _, ok := strings.Cut(line, " "); ok && strings.Contains(line, "HTTP/") {
			out = append(out, method)
		}
	}
	return out
}

// probe sends a good request, which the front may send over a connection on which
// the bytes before have come. The time limits of the front are short, so that it may
// have to be sent again.
func (b *behind) probe(t *testing.T) (got, want string) {
	t.Helper()
	b.probes++
	want = "200 probe " + strconv.Itoa(b.probes)
	for range 10 {
		got = b.ask(t, strings.TrimPrefix(want, "200 "))
		if got != "" && got[0] != '5' && !strings.HasPrefix(got, "408") {
			break
		}
	}
	return got, want
}

// ask sends a good request with a body, and returns status and body of the answer, ""
// for none.
func (b *behind) ask(t *testing.T, body string) string {
	t.Helper()
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, message("POST", "/probe", body, []string{"Connection: close"}))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return strconv.Itoa(res.StatusCode) + " " + string(answer)
}

// TestNoRequestIsSmuggledPast sends a few hundred hostile requests through each proxy.
func TestNoRequestIsSmuggledPast(t *testing.T) {
	t.Parallel()
	for _, f := range fronts() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			b := putBehind(t, &f, nil)
			for _, sent := range hostile(250) {
				b.check(t, sent)
			}
			if read := len(b.witness.seen); read < 300 {
				t.Errorf("the server has read %d requests behind %s: the test does not reach it", read, f.name)
			}
		})
	}
}

// lengthless is a listener whose connections do not have Content-Length: what reads
// from them takes a body for a request.
type lengthless struct{ net.Listener }

func (l lengthless) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return lengthlessConn{c}, err
}

type lengthlessConn struct{ net.Conn }

func (c lengthlessConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for _, name := range []string{"ontent-Length:", "ontent-length:"} { // HAProxy sends names in lower case
		copy(p, bytes.ReplaceAll(p[:n], []byte(name), []byte("x"+name[1:])))
	}
	return n, err
}

// TestASmuggledRequestIsSeen lets a request be smuggled past each proxy, to a server
// that does not see lengths: the tests above would notice.
func TestASmuggledRequestIsSeen(t *testing.T) {
	t.Parallel()
	const smuggled = "GET /smuggled HTTP/1.1\r\n" + hostLine + "\r\n"
	for _, f := range fronts() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			b := putBehind(t, &f, func(l net.Listener) net.Listener { return lengthless{l} })
			faults := b.send(t, "POST /post HTTP/1.1\r\n"+hostLine+"Content-Length: "+strconv.Itoa(len(smuggled))+"\r\n\r\n"+smuggled)
			if !slices.ContainsFunc(faults, func(fault string) bool {
				return strings.Contains(fault, "has not written the head of this request: GET")
			}) {
				t.Errorf("the request that was smuggled past %s is not seen: %q", f.name, faults)
			}
		})
	}
}

// FuzzNothingIsSmuggledPast sends what the fuzzer finds through all proxies.
func FuzzNothingIsSmuggledPast(f *testing.F) {
	for _, sent := range hostile(0) {
		f.Add([]byte(sent))
	}
	var all []*behind
	for _, one := range fronts() {
		b := putBehind(f, &one, nil)
		all = append(all, b)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, b := range all {
			b.check(t, string(sent))
		}
	})
}
