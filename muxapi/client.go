package muxapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/playback"
)

// The pace that Mux allows, per account (mux.md §4): one POST and five other
// requests per second.
const (
	postPace  = time.Second
	otherPace = 200 * time.Millisecond
)

const (
	attempts       = 5 // of one request, the first included
	firstBackoff   = 500 * time.Millisecond
	longestWait    = 30 * time.Second // between two attempts; who is asked to wait longer gives up
	attemptTimeout = 15 * time.Second
	maxAnswer      = 8 << 20 // bytes: a hundred assets with all their tracks are below
)

// Config is what a Client is made of.
type Config struct {
	BaseURL string // of the API, such as https://api.mux.com
	TokenID string
	Secret  playback.Secret
	// EnvironmentID is Mux's ID of the environment that the access token must
	// belong to; "" takes any. An access token of another environment would
	// find none of the keys that it is to delete.
	EnvironmentID string
	// Transport carries the requests; nil is one of the client's own, with the
	// proxy of the process's environment.
	Transport http.RoundTripper
	Now       func() time.Time // nil: time.Now
	// Steady is a clock that is never set, by which the client paces itself; nil:
	// Now.
	Steady func() time.Time
	// Witness is told what time it is by Mux's clock, where the connection proves
	// that it is Mux's; nil: nobody.
	Witness func(time.Time)
	// Turn takes the next turn of all who share the account and returns how long
	// it is until then; name tells POST from the rest, and the turn after it comes
	// that much later. If it is after the context's deadline, it takes none and
	// returns context.DeadlineExceeded. While it fails otherwise, and where it is
	// nil, the client minds its own pace alone.
	Turn func(ctx context.Context, name string, every time.Duration) (time.Duration, error)
	// Account is shared by all clients of a Mux account; nil: there is no other.
	Account *Account
	// Rand is in [0,1) and spreads the waiting; nil: math/rand/v2.
	Rand func() float64
}

// Client asks Mux's API in the name of one access token, which is one
// environment's. Safe for concurrent use. It redacts itself wherever it could
// be printed.
type Client struct {
	base    string
	tokenID string
	secret  playback.Secret
	wanted  string // the environment's ID, "" for any
	http    *http.Client
	now     func() time.Time
	steady  func() time.Time
	witness func(time.Time)
	rand    func() float64

	posts, others pace
	account       *Account

	checked atomic.Bool  // the environment is the wanted one
	ahead   atomic.Int64 // how far the clock was ahead of Mux's, as of the last answer with a Date, ns
}

// New returns a Client. It does no I/O; WhoAmI is the first thing to ask.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.BaseURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the base URL: %w", err)
	case base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("%.200q is not a base URL: want https://host, without user, query and fragment", base.Redacted())
	case cfg.TokenID == "" || cfg.Secret.Reveal() == "":
		return nil, errors.New("want an access token's ID and its secret")
	case strings.Contains(cfg.TokenID, ":"):
		return nil, errors.New("an access token's ID has no colon")
	}
	c := &Client{
		base: strings.TrimSuffix(base.String(), "/"), tokenID: cfg.TokenID, secret: cfg.Secret, wanted: cfg.EnvironmentID,
		now: cfg.Now, steady: cfg.Steady, rand: cfg.Rand,
		posts: pace{every: postPace}, others: pace{every: otherPace}, account: cfg.Account,
	}
	if c.account == nil {
		c.account = NewAccount()
	}
	if cfg.Turn != nil {
		share := func(name string) func(context.Context, time.Duration) (time.Duration, error) {
			return func(ctx context.Context, every time.Duration) (time.Duration, error) {
				return cfg.Turn(ctx, name, every)
			}
		}
		c.posts.shared, c.others.shared = share("post"), share("other")
	}
	if c.now == nil {
		c.now = time.Now //nolint:forbidigo // the one default
	}
	if c.steady == nil {
		c.steady = c.now
	}
	if base.Scheme == "https" {
		c.witness = cfg.Witness
	}
	if c.rand == nil {
		c.rand = rand.Float64
	}
	transport := cfg.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Format names the client, never its secret, whatever the verb and flags.
func (c *Client) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "Mux client of access token "+c.tokenID) // fmt offers no way to report it
}

// answer is what came back: any status.
type answer struct {
	status     int
	retryAfter time.Duration
	date       time.Time // by Mux's clock; zero: it did not say, or nothing to be believed
	body       []byte
}

// notSentError is a request that never left: Mux cannot have acted on it.
type notSentError struct{ error }

func (e notSentError) Unwrap() error { return e.error }

// once sends one request and reads its answer.
func (c *Client) once(ctx context.Context, method, path string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, http.NoBody)
	if err != nil {
		return nil, notSentError{err}
	}
	request.SetBasicAuth(c.tokenID, c.secret.Reveal())
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "playgate")
	response, err := c.http.Do(request)
	if err != nil {
		if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
			return nil, notSentError{err}
		}
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading Mux's answer: %w", err)
	case len(text) > maxAnswer:
		return nil, fmt.Errorf("reading Mux's answer: it is larger than %d bytes", maxAnswer)
	}
	date := c.date(response.Header.Get("Date"))
	return &answer{response.StatusCode, c.retryAfter(response.Header.Get("Retry-After"), date), date, text}, nil
}

// maxOff is how far Mux's clock and the client's may be apart: a Date beyond is
// none, for who believed it would take whatever Mux says for older than anything
// that is known, for ever.
const maxOff = 24 * time.Hour

// date reads a Date header, zero if there is none to be believed, and notes how
// far the client's clock is ahead.
func (c *Client) date(text string) time.Time {
	date, err := http.ParseTime(text)
	if err == nil && c.witness != nil {
		c.witness(date)
	}
	off := c.now().Sub(date)
	if err != nil || off.Abs() > maxOff {
		return time.Time{}
	}
	c.ahead.Store(int64(max(0, off)))
	return date
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3), 0 for none. A time there is by
// Mux's clock, like the answer's Date.
func (c *Client) retryAfter(text string, date time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date.IsZero() {
		date = c.now().Add(-time.Duration(c.ahead.Load()))
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(date))
	}
	return 0
}

// temporary reports whether an answer may be another one later.
func (r *answer) temporary() bool {
	return r.status == http.StatusTooManyRequests || r.status >= http.StatusInternalServerError
}

// relent tells all who share the pace to wait where Mux says that it was too
// much: the limit is the account's, not the request's.
func (c *Client) relent(ctx context.Context, p *pace, n int, r *answer) {
	if r.status == http.StatusTooManyRequests {
		p.hold(ctx, c.steady(), min(longestWait, c.pause(n, r.retryAfter)))
	}
}

// pause is how long to wait after attempt n (from 1): as long as Mux asks, else
// half a second, doubled each time, and spread so that many clients do not meet
// again.
func (c *Client) pause(n int, asked time.Duration) time.Duration {
	if asked > 0 {
		return asked + time.Duration(c.rand()*float64(firstBackoff))
	}
	full := firstBackoff << (n - 1)
	return full/2 + time.Duration(c.rand()*float64(full))
}

// backoff waits after attempt n. It returns false if there is no time or no sense
// in waiting.
func (c *Client) backoff(ctx context.Context, n int, asked time.Duration) bool {
	if n >= attempts || asked > longestWait {
		return false
	}
	wait := c.pause(n, asked)
	if end, ok := ctx.Deadline(); ok && time.Until(end) < wait {
		return false // waiting would only hide what is wrong
	}
	return sleep(ctx, wait) == nil
}

// ask sends a request that may be sent again, until it is answered for good.
func (c *Client) ask(ctx context.Context, op, method, path string) (*answer, error) {
	for n := 1; ; n++ {
		if err := c.turn(ctx); err != nil {
			return nil, fmt.Errorf("%s: waiting for Mux's rate limit: %w", op, err)
		}
		r, err := c.once(ctx, method, path)
		switch {
		case err != nil:
			if ctx.Err() != nil || !c.backoff(ctx, n, 0) {
				return nil, fmt.Errorf("%s: %w", op, err)
			}
		case r.temporary():
			c.relent(ctx, &c.others, n, r)
			if !c.backoff(ctx, n, r.retryAfter) {
				return nil, c.newError(op, r)
			}
		default:
			return r, nil
		}
	}
}
