package server_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server/transport"
)

// TestALargeBodyIsReadOnlyForWhoIsAdmitted: a byte of the body is there, and the
// rest never comes.
func TestALargeBodyIsReadOnlyForWhoIsAdmitted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		credential string
		status     int
		code       playback.Code
	}{
		"no credential":          {"X-None: 1", 401, playback.CodeMissingCredentials},
		"an unreadable one":      {"Authorization: Bearer junk", 401, playback.CodeInvalidCredentials},
		"an expired one":         {bearer(acmeViewer + ".expired"), 401, playback.CodeExpiredCredentials},
		"a wrong secret":         {basicAuth(acmeBackend, "guess"), 401, playback.CodeInvalidCredentials},
		"one without permission": {basicAuth(noRights, secret), 403, playback.CodeInsufficientPermissions},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{})
			s := k.tcp()()
			s.send(message("POST", "/v1/tokens/batch", "", []string{c.credential, "Content-Type: application/json", "Content-Length: 500000"}) + "{")
			r := s.answer()
			k.want(r, c.status, c.code)
			if !r.Close || !s.closed() {
				t.Error("the connection stays open, though the body may come")
			}
		})
	}
}

// chunked is a POST of so many bytes in chunks.
func chunked(target, credential string, size int) string {
	return message("POST", target, "", []string{credential, "Content-Type: application/json", "Transfer-Encoding: chunked"}) +
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, strings.Repeat(" ", size))
}

// TestTheSizeOfChunksAnswersBeforeTheCredential (contract §8), although what a
// stranger sends is not kept.
func TestTheSizeOfChunksAnswersBeforeTheCredential(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size   int
		status int
		code   playback.Code
	}{
		{16 << 10, 401, playback.CodeInvalidCredentials},
		{16<<10 + 1, 401, playback.CodeInvalidCredentials},
		{64 << 10, 401, playback.CodeInvalidCredentials},
		{64<<10 + 1, 413, playback.CodePayloadTooLarge},
		{1 << 20, 413, playback.CodePayloadTooLarge},
	} {
		t.Run(itoa(c.size), func(t *testing.T) {
			t.Parallel()
			k := start(t, options{})
			s := k.tcp()()
			s.send(chunked("/v1/tokens", "Authorization: Bearer junk", c.size))
			k.want(s.answer(), c.status, c.code)
			if c.status == 401 { // the connection goes on behind the body
				s.send(message("GET", aToken, "", []string{bearer(acmeViewer)}))
				k.want(s.answer(), 200, "")
			}
		})
	}
}

// TestBodiesBeyondTheMemoryAreRefused: one that has not arrived holds so much of the
// memory that another as large would not leave four times as much.
func TestBodiesBeyondTheMemoryAreRefused(t *testing.T) {
	t.Parallel()
	const half = 7 * transport.ConnectionCost
	k := start(t, options{connections: transport.Limits{Bytes: 2 * half}})
	dial := k.tcp()
	greedy, other := dial(), dial()
	post := func(length int) string {
		return message("POST", "/v1/tokens/batch", "", []string{bearer(acmeViewer), "Content-Type: application/json", "Content-Length: " + itoa(length)})
	}
	// 64 KiB are reserved for more than 20, and 256 would stay free beside one such.
	greedy.send(post(400_000) + strings.Repeat(" ", 40<<10))
	held := func() int { return k.gauge("playgate_in_flight_bytes") }
	await(t, "the first body holds memory", func() bool { return held() > 2*transport.ConnectionCost+32<<10 })
	other.send(post(400_000) + strings.Repeat(" ", 64<<10))
	r := other.answer()
	k.want(r, http.StatusServiceUnavailable, "overloaded")
	diff(t, "Retry-After", r.Header.Get("Retry-After"), "1")
	if !r.Close || !other.closed() {
		t.Error("the connection stays open, though the body may come")
	}
	small := dial()
	small.send(message("POST", "/v1/tokens", aBody, []string{bearer(acmeViewer), "Content-Type: application/json"}))
	k.want(small.answer(), 200, "")
	_ = small.Close()
	_ = greedy.Close()
	await(t, "the memory is free", func() bool { return held() == 0 })
	k.want(k.post("/v1/tokens/batch", `{"requests":[`+aBody+strings.Repeat(" ", 40<<10)+`]}`, bearer(acmeViewer)), 200, "")
}

// TestLargeBodiesAreParsedOneForEachCore: what they become takes several times their
// bytes. Small ones do not wait for them.
func TestLargeBodiesAreParsedOneForEachCore(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	large := `{"requests":[` + aBody + strings.Repeat(" ", 10_000) + `]}`
	var others []func()
	for range runtime.GOMAXPROCS(0) {
		others = append(others, k.server.Parse([]byte(large)))
	}
	s := k.tcp()()
	s.send(message("POST", "/v1/tokens/batch", large, []string{bearer(acmeViewer), "Content-Type: application/json"}))
	for range 3 {
		k.want(k.post("/v1/tokens", aBody, bearer(acmeViewer)), 200, "")
		diff(t, "requests that reached the issuer", k.issuer.last(t).PlaybackID, playback.ID("P"))
	}
	diff(t, "requests that reached the issuer", k.issuer.count(), 3)
	for _, done := range others {
		done()
	}
	k.want(s.answer(), 200, "")
}

// TestALargeAnswerIsInFlightUntilTheNextRequest: nobody says when it was read.
func TestALargeAnswerIsInFlightUntilTheNextRequest(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	s := k.tcp()()
	batch := `{"requests":[` + strings.TrimSuffix(strings.Repeat(aBody+",", 50), ",") + `]}`
	s.send(message("POST", "/v1/tokens/batch", batch, []string{bearer(acmeViewer), "Content-Type: application/json"}))
	r := s.answer()
	k.want(r, 200, "")
	if len(r.body) <= 16<<10 {
		t.Fatalf("the answer has %d bytes, too few for this test", len(r.body))
	}
	diff(t, "in flight after a large answer", k.gauge("playgate_in_flight_bytes"), transport.ConnectionCost+len(r.body))
	s.send(message("GET", aToken, "", []string{bearer(acmeViewer)}))
	k.want(s.answer(), 200, "")
	diff(t, "in flight after a small one", k.gauge("playgate_in_flight_bytes"), transport.ConnectionCost)
}

// await polls until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// gauge returns the value of a gauge without labels.
func (k *kit) gauge(name string) int {
	k.t.Helper()
	families, err := k.registry.Gather()
	if err != nil {
		k.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return int(family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	k.t.Fatalf("there is no metric %s", name)
	return 0
}
