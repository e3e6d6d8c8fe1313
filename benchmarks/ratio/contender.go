package ratio

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/playgate/playgate/benchmarks/peers"
)

// The series of the gateway itself; a peer's series has the peer's title.
const (
	hitSeries        = "Playgate, hit"
	missSeries       = "Playgate, miss"
	bundleSeries     = "Playgate, bundle of 4 types, all missing"
	newSeries        = "Playgate, hit, viewer token verified anew"
	rememberedSeries = "Playgate, hit, viewers remembered"
	opensslSeries    = "openssl speed rsa2048, all cores (signatures)"
	goSeries         = "crypto/rsa in a loop, all cores (signatures)"
)

// A bundle asks for all types that the world's rules grant.
const (
	bundleTypes = `["video","thumbnail","storyboard","stats"]`
	bundleSize  = 4
)

// groups are what is measured in turn. The first of each is its floor.
func (b *bench) groups() [][]*contender {
	hits := []*contender{b.peer(peers.Fiber, false), b.hit()}
	misses := []*contender{
		{Series{Name: opensslSeries}, opensslSpeed}, b.miss(), b.bundle(),
	}
	if !b.Peers {
		return [][]*contender{hits, misses}
	}
	for _, name := range []peers.Name{peers.Nginx, peers.GoLRU, peers.FastifyLRU, peers.ExpressLRU} {
		hits = append(hits, b.peer(name, false))
	}
	misses = append(misses, &contender{Series{Name: goSeries}, func(ctx context.Context, window time.Duration) (Window, error) {
		return goSignatures(ctx, b.key, window)
	}})
	for _, name := range []peers.Name{peers.Fastify, peers.Go, peers.Express} {
		misses = append(misses, b.peer(name, true))
	}
	return [][]*contender{hits, misses, {b.haproxy(), b.verification(), b.remembered()}}
}

func (b *bench) hit() *contender {
	return &contender{
		Series{Name: hitSeries, Connections: hitConnections},
		func(ctx context.Context, window time.Duration) (Window, error) {
			l := load{base: b.gateway.URL, path: peers.Path(hot), viewer: b.viewers[0], connections: hitConnections}
			// A long run of misses has pushed the hot token out of the cache.
			if _, err := b.sample(ctx, hot); err != nil {
				return Window{}, err
			}
			return b.counted(ctx, l, window, counts{tokenHits: 1, identityHits: 1})
		},
	}
}

func (b *bench) miss() *contender {
	return &contender{
		Series{Name: missSeries, Connections: missConnections},
		func(ctx context.Context, window time.Duration) (Window, error) {
			prefix := b.nextRange()
			l, err := b.missing(b.gateway.URL, "GET /v1/playback-ids/"+prefix, "/token HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer VIEWER\r\n\r\n")
			if err != nil {
				return Window{}, err
			}
			w, err := b.counted(ctx, l, window, counts{tokenMisses: 1, identityHits: 1})
			if err != nil {
				return Window{}, err
			}
			return w, b.verifyRange(ctx, prefix, w.Requests)
		},
	}
}

func (b *bench) bundle() *contender {
	return &contender{
		Series{Name: bundleSeries, Connections: missConnections, Tokens: bundleSize},
		func(ctx context.Context, window time.Duration) (Window, error) {
			prefix := b.nextRange()
			opening, rest := `{"playback_id":"`, `","types":`+bundleTypes+`}`
			length := len(opening) + len(rangeID(prefix, 0)) + len(rest)
			l, err := b.missing(b.gateway.URL, "POST /v1/tokens HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer VIEWER\r\n"+
				"Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(length)+"\r\n\r\n"+opening+prefix, rest)
			if err != nil {
				return Window{}, err
			}
			w, err := b.counted(ctx, l, window, counts{tokenMisses: bundleSize, identityHits: 1})
			if err != nil {
				return Window{}, err
			}
			return w, b.verifyRange(ctx, prefix, w.Requests)
		},
	}
}

// missing asks a server for another playback ID each time. before ends with a
// range of IDs.
func (b *bench) missing(base, before, after string) (load, error) {
	file, err := b.viewerFile(b.viewers[:missConnections])
	if err != nil {
		return load{}, err
	}
	return load{base: base, script: fmt.Sprintf(missScript, before, after, file), connections: missConnections}, nil
}

// peer measures a peer with the hot playback ID, or with another ID each time.
// Its requests are the gateway's, credential included, though nobody looks at
// it there: what is compared is what is done about one request.
func (b *bench) peer(name peers.Name, misses bool) *contender {
	s := Series{Name: name.Title(), Connections: hitConnections}
	if misses {
		s.Connections = missConnections
	}
	return &contender{s, func(ctx context.Context, window time.Duration) (Window, error) {
		server := b.running[name]
		l := load{base: server.URL, path: peers.Path(hot), viewer: b.viewers[0], connections: hitConnections}
		if misses {
			var err error
			if l, err = b.missing(server.URL, "GET /v1/playback-ids/"+b.nextRange(), "/token HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer VIEWER\r\n\r\n"); err != nil {
				return Window{}, err
			}
		}
		return b.server(ctx, server.PID, l, window)
	}}
}

func (b *bench) haproxy() *contender {
	return &contender{
		Series{Name: peers.HAProxy.Title(), Connections: hitConnections},
		func(ctx context.Context, window time.Duration) (Window, error) {
			server := b.running[peers.HAProxy]
			l, err := b.asViewers(server.URL, b.viewers[missConnections:])
			if err != nil {
				return Window{}, err
			}
			return b.server(ctx, server.PID, l, window)
		},
	}
}

// newViewers is how many viewer tokens one window of new ones needs; more than
// are verified in it.
func (b *bench) newViewers() int { return int(max(1, b.Window.Seconds()) * 32_000) }

func (b *bench) verification() *contender {
	return &contender{
		Series{Name: newSeries, Connections: hitConnections},
		func(ctx context.Context, window time.Duration) (Window, error) {
			if err := b.forgetViewers(ctx); err != nil {
				return Window{}, err
			}
			l, err := b.asViewers(b.gateway.URL, b.viewers[missConnections:])
			if err != nil {
				return Window{}, err
			}
			return b.counted(ctx, l, window, counts{tokenHits: 1, identityMisses: 1})
		},
	}
}

func (b *bench) remembered() *contender {
	return &contender{
		Series{Name: rememberedSeries, Connections: hitConnections},
		func(ctx context.Context, window time.Duration) (Window, error) {
			// Some of those that the window of new ones has just introduced.
			l, err := b.asViewers(b.gateway.URL, b.viewers[missConnections:][:1000])
			if err != nil {
				return Window{}, err
			}
			return b.counted(ctx, l, window, counts{tokenHits: 1, identityHits: 1})
		},
	}
}

// asViewers asks for the hot token as one viewer after the other.
func (b *bench) asViewers(base string, viewers []string) (load, error) {
	file, err := b.viewerFile(viewers)
	if err != nil {
		return load{}, err
	}
	template := "GET " + peers.Path(hot) + " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer VIEWER\r\n\r\n"
	return load{base: base, script: fmt.Sprintf(viewerScript, template, file, threads()), connections: hitConnections}, nil
}

// viewerFile writes viewers' tokens, one a line, and returns the file.
func (b *bench) viewerFile(tokens []string) (string, error) {
	file := filepath.Join(b.Dir, "viewers")
	if err := os.WriteFile(file, []byte(strings.Join(tokens, "\n")+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the viewers' tokens: %w", err)
	}
	return file, nil
}

// nextRange returns a prefix of playback IDs that nobody has asked for yet.
func (b *bench) nextRange() string {
	b.misses++
	return "W" + strconv.Itoa(b.misses)
}

// rangeID is the nth playback ID of wrk's first thread in a range, as missScript
// makes it.
func rangeID(prefix string, n int64) string { return fmt.Sprintf("%sT0N%09d", prefix, n) }

// verifyRange judges two tokens of a window of misses: an early and a late one.
func (b *bench) verifyRange(ctx context.Context, prefix string, requests int64) error {
	for _, n := range []int64{2, max(2, requests/int64(threads())/2)} {
		if _, err := b.sample(ctx, rangeID(prefix, n)); err != nil {
			return err
		}
	}
	return nil
}
