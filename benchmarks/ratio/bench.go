package ratio

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/playgate/playgate/benchmarks/peers"
	"github.com/playgate/playgate/benchmarks/world"
)

// hot is the playback ID that every hit asks for.
const hot = "BENCH00HOT01"

// bench is the state of one Run.
type bench struct {
	Config
	gateway *world.Gateway
	backend string          // that the gateway signs with
	key     *rsa.PrivateKey // signs playback tokens, the gateway's and the peers'
	answer  peers.Answer    // the gateway's for hot
	viewers []string        // tokens: missConnections for the misses, then those that are new to the gateway
	running map[peers.Name]*peers.Server

	misses    int // windows of misses so far: each has playback IDs of its own
	discarded int // windows measured again for stolen time
	stolen    int // windows kept although time was stolen
}

// contender is something to measure.
type contender struct {
	series Series
	run    func(ctx context.Context, window time.Duration) (Window, error)
}

// needed are the peers of this run, those that are floors first.
func (b *bench) needed() []peers.Name {
	if b.Peers {
		return peers.All()
	}
	return []peers.Name{peers.Fiber}
}

func (b *bench) startPeers(ctx context.Context) error {
	c, err := b.peerConfig()
	if err != nil {
		return err
	}
	b.running = map[peers.Name]*peers.Server{}
	for _, name := range b.needed() {
		s, err := peers.Start(ctx, name, c)
		if err != nil {
			return err
		}
		b.running[name] = s
	}
	return nil
}

func (b *bench) peerConfig() (peers.Config, error) {
	c := peers.Config{Dir: b.Dir, Key: b.key, KeyID: world.FirstKey, PlaybackID: hot, Answer: b.answer}
	if !b.Peers {
		return c, nil
	}
	key, err := b.issuerKey()
	if err != nil {
		return c, err
	}
	c.Viewers = peers.Viewers{Key: key, Issuer: "https://idp.bench.example", Audience: "playgate", Token: b.viewers[0]}
	return c, nil
}

// stop ends everything that was started.
func (b *bench) stop() error {
	var errs []error
	for _, s := range b.running {
		errs = append(errs, s.Stop())
	}
	if b.gateway != nil {
		errs = append(errs, b.gateway.Stop())
	}
	return errors.Join(errs...)
}

// checkAll asks everybody once more.
func (b *bench) checkAll(ctx context.Context) error {
	if _, err := b.sample(ctx, hot); err != nil {
		return err
	}
	c, err := b.peerConfig()
	if err != nil {
		return err
	}
	for _, s := range b.running {
		if err := s.Check(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// sample gets a playback ID's video token from the gateway, judges it as Mux
// would, and returns the answer.
func (b *bench) sample(ctx context.Context, id string) (peers.Answer, error) {
	res, err := ask(ctx, b.gateway.URL+peers.Path(id), b.viewers[0])
	if err != nil {
		return peers.Answer{}, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	content, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return peers.Answer{}, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return peers.Answer{}, fmt.Errorf("the gateway answers %d: %s", res.StatusCode, content)
	}
	var body struct{ Data struct{ URL string } }
	if err := json.Unmarshal(content, &body); err != nil {
		return peers.Answer{}, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	return peers.Answer{Header: res.Header, Body: content}, peers.Verify(b.gateway.Key, world.FirstKey, id, body.Data.URL)
}

func ask(ctx context.Context, url, viewer string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+viewer)
	req.Close = true
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the gateway: %w", err)
	}
	return res, nil
}

// signingKey reads the key that the gateway was given.
func signingKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the world's signing key is not PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the world's signing key: %w", err)
	}
	return key, nil
}

// server measures one request against a server of its own process.
func (b *bench) server(ctx context.Context, pid int, l load, window time.Duration) (Window, error) {
	before, err := cpuOf(pid)
	if err != nil {
		return Window{}, err
	}
	f, err := l.run(ctx, b.Dir, window)
	if err != nil {
		return Window{}, err
	}
	after, err := cpuOf(pid)
	if err != nil {
		return Window{}, err
	}
	return Window{
		Requests: f.Requests, PerSecond: f.PerSecond, P50: f.P50, P99: f.P99,
		CPU: float64((after - before).Microseconds()) / float64(f.Requests),
	}, nil
}

// counts is how often the gateway must have used a cache, per request.
type counts struct {
	tokenHits, tokenMisses       int64
	identityHits, identityMisses int64
}

// spare is by how much one of the gateway's counters may be off in a window: a
// remembered viewer ends after five minutes, a token at its next expiry, and
// several requests may find that out at once.
const spare = 2 * missConnections

// counted measures the gateway and holds its own counters against what was
// asked, so that no hit passes for a miss. Requests that were on their way when
// wrk stopped listening are counted by the gateway only.
func (b *bench) counted(ctx context.Context, l load, window time.Duration, want counts) (Window, error) {
	before, err := b.gateway.Metrics(ctx)
	if err != nil {
		return Window{}, err
	}
	w, err := b.server(ctx, b.gateway.PID, l, window)
	if err != nil {
		return Window{}, err
	}
	after, err := b.gateway.Metrics(ctx)
	if err != nil {
		return Window{}, err
	}
	var errs []error
	for _, one := range []struct {
		metric, result string
		each           int64
	}{
		{"playgate_token_cache_total", "hit", want.tokenHits},
		{"playgate_token_cache_total", "miss", want.tokenMisses},
		{"playgate_token_cache_total", "coalesced", 0},
		{"playgate_identity_remembered_total", "hit", want.identityHits},
		{"playgate_identity_remembered_total", "miss", want.identityMisses},
	} {
		label := fmt.Sprintf("result=%q", one.result)
		got := int64(after.Sum(one.metric, label) - before.Sum(one.metric, label))
		least, most := one.each*w.Requests-spare, one.each*(w.Requests+int64(l.connections))+spare
		if got < least || got > most {
			errs = append(errs, fmt.Errorf("%s{%s} rose by %d during %d requests, not by %d to %d", one.metric, label, got, w.Requests, least, most))
		}
	}
	return w, errors.Join(errs...)
}
