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
	// Turn takes the next turn of all who share the account, one of which comes
	// every so often, and returns how long it is until then; name tells POST from
	// the rest. If that is after the context's deadline, it takes none and returns
	// context.DeadlineExceeded. While it fails otherwise, and where it is nil, the
	// client minds its own pace alone.
	Turn func(ctx context.Context, name string, every time.Duration) (time.Duration, error)
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
	rand    func() float64

	posts, others pace

	checked atomic.Bool // the environment is the wanted one
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
		now: cfg.Now, rand: cfg.Rand,
		posts: pace{every: postPace}, others: pace{every: otherPace},
	}
	if cfg.Turn != nil {
		c.posts.shared = func(ctx context.Context) (time.Duration, error) { return cfg.Turn(ctx, "post", postPace) }
		c.others.shared = func(ctx context.Context) (time.Duration, error) { return cfg.Turn(ctx, "other", otherPace) }
	}
	if c.now == nil {
		c.now = time.Now //nolint:forbidigo // the one default
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
	date       time.Time // by Mux's clock; zero: it did not say
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
	date, _ := http.ParseTime(response.Header.Get("Date")) // zero if there is none
	return &answer{response.StatusCode, c.retryAfter(response.Header.Get("Retry-After")), date, text}, nil
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3), 0 for none.
func (c *Client) retryAfter(text string) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(c.now()))
	}
	return 0
}

// temporary reports whether an answer may be another one later.
func (r *answer) temporary() bool {
	return r.status == http.StatusTooManyRequests || r.status >= http.StatusInternalServerError
}

// backoff waits before attempt n (from 1): as long as Mux asks, else half a
// second, doubled each time, and spread so that many clients do not meet again.
// It returns false if there is no time or no sense in waiting.
func (c *Client) backoff(ctx context.Context, n int, asked time.Duration) bool {
	if n >= attempts || asked > longestWait {
		return false
	}
	full := firstBackoff << (n - 1)
	wait := asked + time.Duration(c.rand()*float64(firstBackoff))
	if asked == 0 {
		wait = full/2 + time.Duration(c.rand()*float64(full))
	}
	if end, ok := ctx.Deadline(); ok && end.Sub(c.now()) < wait {
		return false // waiting would only hide what is wrong
	}
	return sleep(ctx, wait) == nil
}

// ask sends a request that may be sent again, until it is answered for good.
func (c *Client) ask(ctx context.Context, op, method, path string) (*answer, error) {
	for n := 1; ; n++ {
		if err := c.others.wait(ctx, c.now); err != nil {
			return nil, fmt.Errorf("%s: waiting for Mux's rate limit: %w", op, err)
		}
		r, err := c.once(ctx, method, path)
		switch {
		case err != nil:
			if ctx.Err() != nil || !c.backoff(ctx, n, 0) {
				return nil, fmt.Errorf("%s: %w", op, err)
			}
		case r.temporary():
			if !c.backoff(ctx, n, r.retryAfter) {
				return nil, c.newError(op, r)
			}
		default:
			return r, nil
		}
	}
}
