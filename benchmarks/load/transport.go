package load

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// transport is the http.RoundTripper under vegeta: it sends what the source says
// for the request's place in the schedule, over fasthttp's client (which takes
// less of the cores than net/http's; they are the gateway's too), checks the
// answer and records it.
type transport struct {
	run    *run
	client *fasthttp.HostClient
	source Source
	config *Config
}

func newTransport(r *run, c *Config) *transport {
	return &transport{run: r, config: c, source: c.Source, client: &fasthttp.HostClient{
		Addr: c.Address, MaxConns: c.Connections, MaxIdleConnDuration: time.Minute,
		ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		DisableHeaderNamesNormalizing: true, DisablePathNormalizing: true, NoDefaultUserAgentHeader: true,
		MaxIdemponentCallAttempts: 1,
	}}
}

// RoundTrip does one request. Of vegeta's request only the sequence number
// counts; it gets an empty answer, or the error.
func (t *transport) RoundTrip(vegetas *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(vegetas.Header.Get("X-Vegeta-Seq"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading vegeta's sequence number: %w", err)
	}
	sent := time.Now()
	t.run.sent(seq, sent)
	class, err := t.ask(t.source(seq))
	t.run.answered(seq, sent, class, err)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: vegetas}, nil
}

func (t *transport) ask(r Request) (Class, error) {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	t.write(req, r)
	if err := t.client.Do(req, res); err != nil {
		return "", fmt.Errorf("asking: %w", err)
	}
	return t.read(res, r)
}

func (t *transport) write(req *fasthttp.Request, r Request) {
	var buffer [128]byte
	req.Header.SetHost(t.config.Address)
	req.Header.Set("Authorization", t.config.Viewers[r.Viewer])
	switch r.Kind {
	case Token:
		req.SetRequestURIBytes(append(appendID(append(buffer[:0], "/v1/playback-ids/"...), r.ID), "/token"...))
	case Redirect:
		req.SetRequestURIBytes(append(appendID(append(buffer[:0], "/stream/"...), r.ID), ".m3u8"...))
	case Bundle:
		req.Header.SetMethod(http.MethodPost)
		req.Header.SetContentType("application/json")
		req.SetRequestURI("/v1/tokens")
		req.SetBody(append(appendID(append(buffer[:0], `{"playback_id":"`...), r.ID), `","types":["video","thumbnail","storyboard"]}`...))
	}
}

// read checks an answer and takes down its tokens.
func (t *transport) read(res *fasthttp.Response, r Request) (Class, error) {
	want := http.StatusOK
	if r.Kind == Redirect {
		want = http.StatusFound
	}
	if res.StatusCode() != want {
		return "", fmt.Errorf("status %d for %s: %.200s", res.StatusCode(), PlaybackID(r.ID), res.Body())
	}
	var space [3]claim
	var claims []claim
	var err error
	if r.Kind == Redirect {
		claims, err = readLocation(space[:0], res.Header.Peek("Location"), r)
	} else {
		claims, err = readTokens(space[:0], res.Body(), r)
	}
	if err != nil {
		return "", err
	}
	cache := string(res.Header.Peek("X-Playgate-Cache"))
	if cache != "hit" && cache != "miss" {
		return "", fmt.Errorf("%w: X-Playgate-Cache is %q", errShape, cache)
	}
	now, missed, first := time.Now(), cache == "miss", false
	for _, c := range claims {
		first = t.config.Ledger.note(r.ID, c, now, missed) || first
	}
	if missed {
		t.run.missed(r.ID)
	}
	switch {
	case r.Kind == Redirect:
		return Redirects, nil
	case !missed:
		return Hit, nil
	case first:
		return Miss, nil
	}
	return Coalesced, nil
}
