package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
)

// killEvery is after how many acknowledged writes the gateway is killed.
const killEvery = 200

// chaosWrites is how many writes are to be acknowledged: enough for a few kills,
// or what PLAYGATE_CHAOS_WRITES says.
func chaosWrites(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PLAYGATE_CHAOS_WRITES")
	if text == "" {
		return 3 * killEvery
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("PLAYGATE_CHAOS_WRITES: %v", err)
	}
	return n
}

// keptWorld is a gateway whose keys, store and Mux outlive it. What goes to Mux
// passes through a hook.
type keptWorld struct {
	*world
	*muxsim.Sim

	mux  string                                                            // the simulated Mux, without the hook
	hook atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool] // true: it has answered
}

// newKeptWorld makes it with a store section. Mux's catalogue is read by the
// first gateway alone, so what comes later is known by webhooks or not at all.
func newKeptWorld(t *testing.T, store string) *keptWorld {
	t.Helper()
	sim, err := muxsim.New(muxsim.Config{Now: time.Now, Environments: []muxsim.Environment{{
		ID:           "mux1",
		AccessTokens: []muxsim.AccessToken{{ID: "gateway", Secret: secret, Permissions: []string{"video:read", "system:read", "system:write"}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	direct := httptest.NewServer(sim)
	t.Cleanup(direct.Close)
	k := &keptWorld{Sim: sim, mux: direct.URL}
	hooked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hook := k.hook.Load(); hook == nil || !(*hook)(w, r) {
			sim.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(hooked.Close)
	k.world = newWorld(t, fmt.Sprintf(`
        webhooks: {secret_files: [hook]}
        catalog: {unknown: deny}
        mux: {environment_id: mux1, token_id: gateway, token_secret_file: mux-secret, base_url: %q}
`, hooked.URL), "acme")
	keys := t.TempDir()
	if err := os.MkdirAll(filepath.Join(keys, "acme"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keys, "acme", "KEYacme.pem"), []byte(k.files["keys/acme/KEYacme.pem"]), 0o600); err != nil {
		t.Fatal(err)
	}
	delete(k.files, "keys/acme/KEYacme.pem")
	k.files["hook"], k.files["mux-secret"] = hookSecret, secret
	config := strings.Replace(k.files["playgate.yaml"], `["video:read"]`, `["video:read", "video:write", "system:read", "system:write"]`, 1)
	k.files["playgate.yaml"] = fmt.Sprintf("keystore: {file: {dir: %q}}\n", keys) + config + store
	g := start(t, k.files)
	g.awaitLine("the catalogue was read from Mux")
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		t.Fatal(err)
	}
	return k
}

// intercept has requests to Mux pass through a hook; nil: through none.
func (k *keptWorld) intercept(hook func(w http.ResponseWriter, r *http.Request) bool) {
	if hook == nil {
		k.hook.Store(nil)
		return
	}
	k.hook.Store(&hook)
}

// film gives Mux an asset, and returns a webhook about it.
func (k *keptWorld) film(t *testing.T, kind, id string) []byte {
	t.Helper()
	asset := muxsim.Asset{ID: muxsim.AssetID(id), Duration: 60, CreatedAt: time.Now(), PlaybackIDs: []muxsim.ObjectPlaybackID{{ID: muxsim.ID("P" + id), Policy: muxsim.Signed}}}
	if err := k.SetAsset("mux1", asset); err != nil {
		t.Error(err)
	}
	body, err := k.Webhook("mux1", kind, id)
	if err != nil {
		t.Error(err)
	}
	return body
}

// deliver sends a webhook, and returns what became of it; "": it was not
// acknowledged.
func deliver(g *gateway, body []byte) string {
	r, err := call(http.MethodPost, g.url+"/v1/webhooks/mux/acme", string(body), "Mux-Signature", muxsim.SignWebhook(body, time.Now(), hookSecret))
	var answer struct{ Result string }
	if err != nil || r.decode(&answer) != nil {
		return ""
	}
	return answer.Result
}

// knows reports whether a gateway mints for a film.
func knows(g *gateway, id string) bool {
	r, err := call(http.MethodGet, g.url+"/v1/playback-ids/P"+id+"/token", "", "Authorization", basic("tok-acme"))
	return err == nil && r.status == http.StatusOK
}

// stored returns the keys that the gateway has, but for the one that it had from
// the beginning.
func storedKeys(t *testing.T, g *gateway) []string {
	t.Helper()
	var all []shownKey
	must(t, http.MethodGet, g.url+"/v1/signing-keys", "", "Authorization", basic("tok-acme")).data(t, &all)
	var ids []string
	for _, key := range all {
		if key.ID != "KEYacme" {
			ids = append(ids, key.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// keysAtMux returns all keys that Mux has.
func (k *keptWorld) keysAtMux(t *testing.T) []string {
	t.Helper()
	var ids []string
	for page := 1; ; page++ {
		var list []struct{ ID string }
		must(t, http.MethodGet, fmt.Sprintf("%s/system/v1/signing-keys?limit=100&page=%d", k.mux, page), "", "Authorization", basic("gateway")).data(t, &list)
		if len(list) == 0 {
			slices.Sort(ids)
			return ids
		}
		for _, key := range list {
			ids = append(ids, key.ID)
		}
	}
}

// acknowledged is what was acknowledged, by its kind.
type acknowledged struct {
	mu    sync.Mutex
	ids   map[string][]string
	count atomic.Int64
}

func (a *acknowledged) add(kind, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[kind] = append(a.ids[kind], id)
	a.count.Add(1)
}

// TestChaosAcknowledgedWritesOutliveKills writes grants, webhooks that say all,
// webhooks that say "look again", and keys at Mux, kills the gateway with -9
// after every 200 of them, and looks for what was acknowledged in the end.
func TestChaosAcknowledgedWritesOutliveKills(t *testing.T) {
	t.Parallel()
	for name, store := range sharedStores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeptWorld(t, store)
			var running atomic.Pointer[gateway]
			running.Store(start(t, k.files))
			written := &acknowledged{ids: map[string][]string{}}
			var asked atomic.Int64 // for keys
			k.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					asked.Add(1)
				}
				return false
			})
			total := chaosWrites(t)
			over := make(chan struct{})
			var wg sync.WaitGroup
			var allowed atomic.Int64
			allowed.Store(killEvery + 50) // some are under way when it is killed
			for w := range 4 {
				wg.Go(func() {
					for n := 0; open(over); n++ {
						for written.count.Load() >= allowed.Load() && open(over) {
							time.Sleep(time.Millisecond)
						}
						k.write(t, running.Load(), written, fmt.Sprintf("W%dN%d", w, n))
					}
				})
			}
			wg.Go(func() {
				for open(over) {
					k.createKey(running.Load(), written)
				}
			})
			kills := 0
			for written.count.Load() < int64(total) {
				g, before := running.Load(), asked.Load()
				g.await("more writes", func() bool { return written.count.Load() >= int64((kills+1)*killEvery) })
				if kills < 3 { // in the middle of the creation of a key; later kills are where they are
					for end := time.Now().Add(time.Minute); asked.Load() == before && time.Now().Before(end); {
						time.Sleep(time.Millisecond)
					}
					time.Sleep(rand.N(300 * time.Millisecond)) // Mux makes it, answers, and it is stored
				}
				g.kill()
				kills++
				allowed.Add(killEvery)
				running.Store(start(t, k.files))
			}
			close(over)
			wg.Wait()
			lost := k.lost(t, running.Load(), written)
			t.Logf("%s: %d kills, %d writes acknowledged (%d grants, %d whole webhooks, %d webhooks that say look again, %d keys), %d lost",
				name, kills, written.count.Load(), len(written.ids["grant"]), len(written.ids["applied"]), len(written.ids["checked"]), len(written.ids["key"]), lost)
		})
	}
}

func open(over chan struct{}) bool {
	select {
	case <-over:
		return false
	default:
		return true
	}
}

// write makes one write, and notes it if it is acknowledged.
func (k *keptWorld) write(t *testing.T, g *gateway, written *acknowledged, id string) {
	t.Helper()
	_, number, _ := strings.Cut(id, "N")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Error(err)
	}
	kind := "grant"
	switch n % 6 {
	case 0:
		if kind = deliver(g, k.film(t, "video.asset.track.ready", id)); kind != "checked" {
			kind = ""
		}
	case 1, 2:
		if kind = deliver(g, k.film(t, "video.asset.ready", id)); kind != "applied" {
			kind = ""
		}
	default:
		body := fmt.Sprintf(`{"viewer":{"id":"viewer-%s"},"type":"ticket","scope":{"all":true}}`, id)
		r, err := call(http.MethodPut, g.url+"/v1/grants/"+id, body, "Authorization", basic("tok-acme"))
		if err != nil || r.status/100 != 2 {
			kind = ""
		}
	}
	if kind != "" {
		written.add(kind, id)
		return
	}
	time.Sleep(20 * time.Millisecond) // the gateway is away
}

// createKey makes a key, and notes it if it is acknowledged.
func (k *keptWorld) createKey(g *gateway, written *acknowledged) {
	r, err := call(http.MethodPost, g.url+"/system/v1/signing-keys", "", "Authorization", basic("tok-acme"))
	var made struct{ Data struct{ ID string } }
	if err == nil && r.status == http.StatusCreated && json.Unmarshal(r.body, &made) == nil {
		written.add("key", made.Data.ID)
		return
	}
	time.Sleep(200 * time.Millisecond) // it is away, or another operation is under way
}

// lost returns how much of what was acknowledged is not there, and fails the test
// if anything is lost, or left at Mux.
func (k *keptWorld) lost(t *testing.T, g *gateway, written *acknowledged) (lost int) {
	t.Helper()
	complain := func(format string, args ...any) {
		if lost++; lost <= 10 {
			t.Errorf(format, args...)
		}
	}
	for _, id := range written.ids["grant"] {
		if r := must(t, http.MethodGet, g.url+"/v1/grants/"+id, "", "Authorization", basic("tok-acme")); r.status != http.StatusOK {
			complain("grant %s: %d", id, r.status)
		}
	}
	for _, id := range written.ids["applied"] {
		if !knows(g, id) {
			complain("what a webhook said of %s is not known", id)
		}
	}
	// Mux answers five requests a second.
	for end := time.Now().Add(time.Minute + time.Duration(len(written.ids["checked"]))*time.Second); ; {
		missing := slices.DeleteFunc(slices.Clone(written.ids["checked"]), func(id string) bool { return knows(g, id) })
		if len(missing) == 0 {
			break
		}
		if time.Now().After(end) {
			for _, id := range missing {
				complain("Mux was never asked about %s, though a webhook was acknowledged", id)
			}
			break
		}
		time.Sleep(time.Second)
	}
	stored := storedKeys(t, g)
	for _, id := range written.ids["key"] {
		if !slices.Contains(stored, id) {
			complain("key %s is not stored", id)
		}
	}
	k.sameKeys(t, g)
	return lost
}

// sameKeys waits until the gateway has the keys that Mux has. What Mux was asked
// before a kill may show up to 20 s later.
func (k *keptWorld) sameKeys(t *testing.T, g *gateway) {
	t.Helper()
	var stored, atMux []string
	for end := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		stored, atMux = storedKeys(t, g), k.keysAtMux(t)
		if slices.Equal(stored, atMux) {
			return
		}
		if time.Now().After(end) {
			t.Errorf("the gateway has keys %v, and Mux has %v\n%s", stored, atMux, g.log)
			return
		}
	}
}

// TestChaosKeysOfAKilledGateway kills the gateway while it waits for Mux's answer
// to the creation of a key, made or not, or right after. The next one takes back
// the key that nobody has, although nobody asks it for anything.
func TestChaosKeysOfAKilledGateway(t *testing.T) {
	t.Parallel()
	for name, made := range map[string]bool{"before Mux has made the key": false, "after Mux has made the key": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeptWorld(t, "store: {driver: memory}\n")
			reached, released := make(chan struct{}), make(chan struct{})
			defer close(released)
			var once sync.Once
			k.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				if made {
					k.ServeHTTP(httptest.NewRecorder(), r)
				}
				once.Do(func() { close(reached) })
				<-released
				panic(http.ErrAbortHandler)
			})
			g := start(t, k.files)
			go func() {
				_, _ = call(http.MethodPost, g.url+"/system/v1/signing-keys", "", "Authorization", basic("tok-acme"))
			}()
			select {
			case <-reached:
			case <-time.After(20 * time.Second):
				t.Fatal("Mux was never asked for a key")
			}
			g.kill()
			if got := k.keysAtMux(t); (len(got) == 1) != made {
				t.Fatalf("at Mux: %v", got)
			}
			k.intercept(nil)
			next := start(t, k.files)
			k.sameKeys(t, next)
			if got := storedKeys(t, next); len(got) > 0 {
				t.Errorf("stored: %v", got)
			}
			for end := time.Now().Add(90 * time.Second); !strings.Contains(next.log.String(), `"event":"recovered"`); time.Sleep(100 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the recovery is not on record\n%s", next.log)
				}
			}
			if r := must(t, http.MethodPost, next.url+"/system/v1/signing-keys", "", "Authorization", basic("tok-acme")); r.status != http.StatusCreated {
				t.Errorf("another key: %d %s", r.status, r.code())
			}
		})
	}
}

// hang has Mux answer nothing about its objects until the client is gone. reached
// is closed when it is first asked.
func (k *keptWorld) hang() (reached chan struct{}) {
	reached = make(chan struct{})
	var once sync.Once
	k.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/video/") {
			return false
		}
		once.Do(func() { close(reached) })
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	return reached
}

// TestChaosWhatAWebhookLeavesOutlivesAStop: Mux is to be asked about an object,
// and does not answer while the gateway is stopped, gently or not. The next one
// asks.
func TestChaosWhatAWebhookLeavesOutlivesAStop(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for name, store := range sharedStores(t) {
			t.Run(fmt.Sprint(name, " ", signal), func(t *testing.T) {
				t.Parallel()
				k := newKeptWorld(t, store)
				reached := k.hang()
				g := start(t, k.files)
				for _, id := range []string{"FilmA", "FilmB"} {
					if got := deliver(g, k.film(t, "video.asset.track.ready", id)); got != "checked" {
						t.Fatalf("the webhook is %q", got)
					}
				}
				select {
				case <-reached:
				case <-time.After(20 * time.Second):
					t.Fatal("Mux was never asked about the film")
				}
				g.signal(signal)
				if err := g.wait(); (err == nil) != (signal == syscall.SIGTERM) {
					t.Errorf("the gateway ended: %v", err)
				}
				k.intercept(nil)
				next := start(t, k.files)
				takenOver(t, next, "FilmA", "FilmB")
			})
		}
	}
}

// takenOver waits until a gateway knows films that Mux is to be asked about. The
// claim of one that was killed lasts for 30 s.
func takenOver(t *testing.T, g *gateway, films ...string) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		films = slices.DeleteFunc(films, func(id string) bool { return knows(g, id) })
		if len(films) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Mux is not asked about %v\n%s", films, g.log)
		}
	}
}

// TestChaosAnotherReplicaTakesOver what a replica has left that was killed.
func TestChaosAnotherReplicaTakesOver(t *testing.T) {
	t.Parallel()
	for name, store := range sharedStores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeptWorld(t, store)
			reached := k.hang()
			doomed := start(t, k.files)
			if got := deliver(doomed, k.film(t, "video.asset.track.ready", "FilmA")); got != "checked" {
				t.Fatalf("the webhook is %q", got)
			}
			select {
			case <-reached:
			case <-time.After(20 * time.Second):
				t.Fatal("Mux was never asked about the film")
			}
			other := start(t, k.files) // before the first one dies
			doomed.kill()
			k.intercept(nil)
			takenOver(t, other, "FilmA")
		})
	}
}
