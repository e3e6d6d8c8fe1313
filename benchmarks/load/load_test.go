package load_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/benchmarks/load"
)

// mint signs a video token of a playback ID as the gateway would.
func mint(t *testing.T, key *rsa.PrivateKey, id string, exp time.Time) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(fmt.Appendf(nil, `{"kid":"K1","sub":%q,"aud":"v","exp":%d}`, id, exp.Unix()))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(signature)
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// answer writes what the gateway answers to GET …/token.
func answer(w http.ResponseWriter, r *http.Request, token string) {
	id := strings.Split(r.URL.Path, "/")[3]
	w.Header().Set("X-Playgate-Cache", "hit")
	fmt.Fprintf(w, `{"data":{"type":"video","token":%q,"url":"https://stream.mux.com/%s.m3u8?token=%s","expires_at":1}}`, token, id, token)
}

// serve starts a false gateway and returns a load for it.
func serve(t *testing.T, handler http.HandlerFunc) load.Config {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return load.Config{
		Address: server.Listener.Addr().String(), Viewers: []string{"Bearer x"}, Ledger: load.NewLedger(),
		Source: load.Each(load.Token, 0, 1, 1), Length: 2 * time.Second,
	}
}

// A generator that waits for the answer before it sends the next request would
// see one slow request here, and report a p99 of a millisecond.
func TestAStallIsChargedToEveryRequestThatWasDueMeanwhile(t *testing.T) {
	t.Parallel()
	token := mint(t, newKey(t), load.PlaybackID(0), time.Now().Add(time.Hour))
	var began sync.Once
	var start time.Time
	var stalled atomic.Int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		began.Do(func() { start = time.Now() })
		if at := time.Since(start); at > 500*time.Millisecond && at < 1500*time.Millisecond {
			stalled.Add(1)
			time.Sleep(1500*time.Millisecond - at)
		}
		answer(w, r, token)
	})
	c.PerSecond, c.Connections = 200, 8 // far fewer than what falls due during the stall
	result, err := load.Run(t.Context(), c)
	if err != nil && !errors.Is(err, load.ErrBehind) {
		t.Fatal(err)
	}
	all := result.Classes[load.All]
	if all.P99 < 900_000 || all.P90 < 600_000 {
		t.Errorf("p90 %.0f, p99 %.0f µs; half of the requests waited for up to a second", all.P90, all.P99)
	}
	if result.Answers != 400 {
		t.Errorf("%d answers, want all 400 that were due", result.Answers)
	}
	if stalled.Load() > 8 {
		t.Errorf("%d requests were sent into the stall over 8 connections", stalled.Load())
	}
}

func TestARateBeyondTheGeneratorFailsTheRun(t *testing.T) {
	t.Parallel()
	token := mint(t, newKey(t), load.PlaybackID(0), time.Now().Add(time.Hour))
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, r, token) })
	c.PerSecond, c.Length = 5_000_000, 100*time.Millisecond
	c.Requests = 20_000
	if _, err := load.Run(t.Context(), c); !errors.Is(err, load.ErrBehind) {
		t.Errorf("Run = %v, want ErrBehind", err)
	}
}

func TestOneWrongAnswerFailsTheRun(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	token := mint(t, key, load.PlaybackID(0), time.Now().Add(time.Hour))
	for name, handler := range map[string]http.HandlerFunc{
		"a status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"the wrong type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Playgate-Cache", "hit")
			fmt.Fprint(w, `{"data":{"type":"gif","token":"x","url":"y"}}`)
		},
		"a URL of another token": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Playgate-Cache", "hit")
			fmt.Fprintf(w, `{"data":{"type":"video","token":%q,"url":"https://stream.mux.com/BENCHx000.m3u8?token=x"}}`, token)
		},
		"no word of the cache": func(w http.ResponseWriter, r *http.Request) {
			answer(w, r, token)
		},
		"a broken connection": func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) != 7 {
					answer(w, r, token)
					return
				}
				if name == "no word of the cache" {
					w = silent{w}
				}
				handler(w, r)
			})
			c.Requests, c.Connections = 20, 1
			result, err := load.Run(t.Context(), c)
			if err == nil || result.Errors != 1 || result.Answers != 19 {
				t.Errorf("Run = %d errors beside %d answers, %v; want the one", result.Errors, result.Answers, err)
			}
		})
	}
}

// silent is a ResponseWriter that does not say what came from the cache.
type silent struct{ http.ResponseWriter }

func (s silent) Write(b []byte) (int, error) {
	s.Header().Del("X-Playgate-Cache")
	return s.ResponseWriter.Write(b)
}

func TestEveryTokenIsJudged(t *testing.T) {
	t.Parallel()
	key, other := newKey(t), newKey(t)
	id, hour := load.PlaybackID(0), time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		token string
		bad   string // part of the error; "": none
	}{
		"a good one":            {mint(t, key, id, hour), ""},
		"of another key":        {mint(t, other, id, hour), "bad_signature"},
		"of another playback":   {mint(t, key, load.PlaybackID(1), hour), "sub_mismatch"},
		"that has expired":      {mint(t, key, id, time.Now().Add(-time.Second)), "expired"},
		"that is no token":      {"e30.e30.e30", "BAD TOKEN"},
		"with one changed byte": {strings.Replace(mint(t, key, id, hour), ".", ".A", 1), "BAD TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, r, test.token) })
			c.Requests = 10
			if _, err := load.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			verdict, err := c.Ledger.Verify(load.Keys{"K1": &key.PublicKey})
			switch {
			case test.bad == "" && (err != nil || verdict.Tokens != 1):
				t.Errorf("Verify = %+v, %v; want one good token", verdict, err)
			case test.bad != "" && (err == nil || !strings.Contains(err.Error(), test.bad)):
				t.Errorf("Verify = %v, want %s", err, test.bad)
			}
			if err != nil && strings.Contains(err.Error(), test.token) {
				t.Error("the error quotes the token")
			}
		})
	}
}

func TestAMissedAnswerIsAMissOnceAndCoalescedAfterwards(t *testing.T) {
	t.Parallel()
	token := mint(t, newKey(t), load.PlaybackID(0), time.Now().Add(time.Hour))
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(missing{w}, r, token) })
	c.Requests, c.Hot = 10, map[uint32]bool{0: true}
	result, err := load.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	got := map[load.Class]int64{}
	for class, l := range result.Classes {
		got[class] = l.Count
	}
	if diff := cmp.Diff(map[load.Class]int64{load.All: 10, load.Miss: 1, load.Coalesced: 9}, got); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	if result.HotMisses != 10 {
		t.Errorf("%d hot misses, want 10", result.HotMisses)
	}
}

// missing is a ResponseWriter that says that nothing came from the cache.
type missing struct{ http.ResponseWriter }

func (m missing) Write(b []byte) (int, error) {
	m.Header().Set("X-Playgate-Cache", "miss")
	return m.ResponseWriter.Write(b)
}
