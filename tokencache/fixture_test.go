package tokencache_test

import (
	"context"
	"encoding/hex"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tokencache"
)

// mint is a signer whose tokens spell the claims that they were made for.
type mint struct {
	mu    sync.Mutex
	rate  atomic.Int64 // what Cost buys
	pace  atomic.Int64 // nanoseconds; 0: as Cost
	calls []call
	made  map[playback.Token]playback.Claims
	// sign, if set, decides in place of the mint; it may block.
	sign func(ctx context.Context, c *playback.Claims, turn playback.Turn) error
	// start, if set, is called by Start.
	start func()
}

type call struct {
	key  playback.KeyID
	sub  string
	exp  int64
	turn playback.Turn
	at   time.Time
}

func (m *mint) Sign(ctx context.Context, c *playback.Claims, turn playback.Turn) (playback.Token, error) {
	m.mu.Lock()
	m.calls = append(m.calls, call{c.Key, c.Sub, c.Exp, turn, time.Now()})
	if m.made == nil {
		m.made = make(map[playback.Token]playback.Claims)
	}
	m.made[tokenOf(c)] = *c
	sign := m.sign
	m.mu.Unlock()
	if sign != nil {
		if err := sign(ctx, c, turn); err != nil {
			return playback.Token{}, err
		}
	}
	return tokenOf(c), nil
}

// Start signs on a goroutine of its own.
func (m *mint) Start(c *playback.Claims, turn playback.Turn) (playback.Signing, bool) {
	if turn.Patient {
		return nil, false
	}
	m.mu.Lock()
	start := m.start
	m.mu.Unlock()
	if start != nil {
		start()
	}
	p := &pressing{done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	own := *c
	go func() {
		defer close(p.done)
		defer cancel()
		defer func() {
			if recover() != nil {
				p.err = errors.New("a bug")
			}
		}()
		p.token, p.err = m.Sign(ctx, &own, turn)
	}()
	return p, true
}

// pressing is what a mint works on.
type pressing struct {
	done   chan struct{}
	cancel func()
	token  playback.Token
	err    error
}

func (p *pressing) Done() <-chan struct{}           { return p.done }
func (p *pressing) Result() (playback.Token, error) { return p.token, p.err }
func (p *pressing) Withdraw()                       { p.cancel() }

// Claims remembers what a signer of tokens reads from them.
func (m *mint) Claims(token playback.Token) (playback.Claims, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.made[token]
	if !ok {
		return c, errors.New("not a token of this mint")
	}
	return playback.Claims{Sub: c.Sub, Aud: c.Aud, Params: c.Params, Restriction: c.Restriction, Custom: c.Custom, Exp: c.Exp}, nil
}

func (*mint) RetryAfter() time.Duration { return 3 * time.Second }

// Cost buys m.rate signatures ahead in a second, on any machine; if that is
// not set, 5,000.
func (m *mint) Cost() time.Duration {
	rate := time.Duration(m.rate.Load())
	if rate == 0 {
		rate = 5000
	}
	return time.Second / (4 * rate) * time.Duration(runtime.GOMAXPROCS(0))
}

// Pace is Cost, unless the test says that the machine is full.
func (m *mint) Pace() time.Duration { return max(m.Cost(), time.Duration(m.pace.Load())) }

func (m *mint) signed() []call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]call(nil), m.calls...)
}

// tokenOf returns the token that the mint makes of the claims.
func tokenOf(c *playback.Claims) playback.Token {
	key := tokencache.KeyOf(c)
	return playback.NewToken(hex.EncodeToString(key[:]))
}

// claimsOf returns the claims of a video token, planned as the issuer does.
func claimsOf(sub string, l int64, now time.Time) (*playback.Claims, playback.Lifetime) {
	life := playback.Schedule("acme", playback.ID(sub), l, now)
	return &playback.Claims{Environment: "acme", Key: "K1", Kid: playback.KidClaim, Sub: sub, Aud: "v", Exp: life.Exp}, life
}

// ask asks for a token as the issuer would at this moment.
func ask(t *testing.T, c *tokencache.Cache, sub string, l int64) (hit bool) {
	t.Helper()
	claims, life := claimsOf(sub, l, time.Now())
	token, hit, err := c.Token(t.Context(), claims, life, playback.Turn{Caller: "u1"})
	if err != nil {
		t.Errorf("Token(%s): %v", sub, err)
	}
	if token != tokenOf(claims) {
		t.Errorf("Token(%s) is the token of other claims", sub)
	}
	return hit
}

// metric returns the value of the one metric with the name and label value.
func metric(t *testing.T, gatherer prometheus.Gatherer, name, result string) float64 {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() != name || result != "" && m.GetLabel()[0].GetValue() != result {
				continue
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Errorf("there is no metric %s{result=%q}", name, result)
	return 0
}

// ownError is a failure that concerns its caller alone.
type ownError struct{}

func (ownError) Error() string    { return "the caller holds its share" }
func (ownError) CallersOwn() bool { return true }
