package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load keeps asking for tokens from several connections until stop is called,
// which returns how many answers there were and the first that was not 200.
func load(url string, headers ...string) (stop func() (answers int64, bad string)) {
	var answers atomic.Int64
	var once sync.Once
	var first string
	done := make(chan struct{})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				r, err := call(http.MethodGet, fmt.Sprintf(url, fmt.Sprintf("N%dX%d", n, i%50)), "", headers...)
				if err != nil || r.status != http.StatusOK {
					once.Do(func() { first = fmt.Sprintf("status %d, %v: %s", r.status, err, r.body) })
					return
				}
				answers.Add(1)
			}
		})
	}
	return func() (int64, string) {
		close(done)
		all.Wait()
		return answers.Load(), first
	}
}

func TestSIGTERMDrainsWithoutLosingARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	g := start(t, w.files)
	var answered, lost atomic.Int64
	var firstLost atomic.Value
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			// One connection each: what matters is a keep-alive client that is
			// about to send when the server wants to go.
			own := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 15 * time.Second}
			for i := 0; ; i++ {
				req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/v1/playback-ids/N%dX%d/token", g.url, n, i), http.NoBody)
				if err != nil {
					panic(err)
				}
				req.Header.Set("Authorization", basic("tok-acme"))
				res, err := own.Do(req)
				switch {
				case err == nil:
					_ = res.Body.Close()
					if res.StatusCode != http.StatusOK {
						lost.Add(1)
						firstLost.CompareAndSwap(nil, fmt.Sprintf("status %d", res.StatusCode))
						return
					}
					answered.Add(1)
				case strings.Contains(err.Error(), "connection refused"):
					return // the listener is closed: a balancer sends it elsewhere
				default:
					lost.Add(1)
					firstLost.CompareAndSwap(nil, err.Error())
					return
				}
			}
		})
	}
	g.await("load from everybody", func() bool { return answered.Load() > 400 })
	g.signal(syscall.SIGTERM)
	g.await("not ready while draining", func() bool { return status(g.admin+"/readyz") == http.StatusServiceUnavailable })
	if got := status(g.admin + "/livez"); got != http.StatusOK {
		t.Errorf("livez while draining = %d", got)
	}
	all.Wait()
	if err := g.wait(); err != nil {
		t.Errorf("exit: %v\n%s", err, g.log)
	}
	if lost.Load() > 0 {
		t.Errorf("%d requests were lost, the first: %v", lost.Load(), firstLost.Load())
	}
}

func TestReloadDropsNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	g := start(t, w.files)
	stop := load(g.url+"/v1/playback-ids/%s/token", "Authorization", basic("tok-acme"))

	rule := func() string {
		var m minted
		must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token", "", "Authorization", basic("tok-acme")).data(t, &m)
		return m.Rule
	}
	if got := rule(); got != "open" {
		t.Fatalf("rule = %q", got)
	}
	// A changed file is noticed by itself.
	g.write("rules-acme.yaml", strings.Replace(openRules, "id: open", "id: second", 1))
	g.await("the changed rules", func() bool { return rule() == "second" })
	// SIGHUP reloads at once.
	g.write("rules-acme.yaml", strings.Replace(openRules, "id: open", "id: third", 1))
	g.signal(syscall.SIGHUP)
	g.await("the rules after SIGHUP", func() bool { return rule() == "third" })
	// A bad file keeps the old state, in the log and in a metric.
	g.write("rules-acme.yaml", strings.Replace(openRules, "'true'", "'viewer.nobody'", 1))
	g.await("the refusal in the metric", func() bool {
		r, err := call(http.MethodGet, g.admin+"/metrics", "")
		return err == nil && strings.Contains(string(r.body), "playgate_config_last_reload_successful 0")
	})
	if got := rule(); got != "third" {
		t.Errorf("after a bad file the rule is %q", got)
	}
	line := g.awaitLine("reload refused, the old configuration stays in force")
	if !strings.Contains(fmt.Sprint(line["error"]), "viewer.nobody") && !strings.Contains(fmt.Sprint(line["error"]), "nobody") {
		t.Errorf("the log does not say what is wrong: %v", line)
	}
	// A new environment, with its key, and the key of the old one rotated.
	bigger := newWorld(t, "", "acme", "beta")
	bigger.files["jwks-acme.json"], bigger.files["keys/acme/KEYacme.pem"] = w.files["jwks-acme.json"], w.files["keys/acme/KEYacme.pem"]
	for name, content := range bigger.files {
		if name != "playgate.yaml" {
			g.write(name, content)
		}
	}
	g.write("playgate.yaml", bigger.files["playgate.yaml"])
	g.await("the new environment", func() bool {
		r, err := call(http.MethodGet, g.url+"/v1/playback-ids/PIDbeta/token", "", "Authorization", basic("tok-beta"))
		return err == nil && r.status == http.StatusOK
	})
	answers, bad := stop()
	if bad != "" || answers < 100 {
		t.Errorf("%d good answers, then %s", answers, bad)
	}
}

func TestKeyFilesRotateWhileServing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	w.files["keys/acme/KEYacme.json"] = `{"state":"active","activated_at":1700000000}`
	g := start(t, w.files)
	stop := load(g.url+"/v1/playback-ids/%s/token", "Authorization", basic("tok-acme"))
	keyID := func() string {
		var m minted
		must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token", "", "Authorization", basic("tok-acme")).data(t, &m)
		return m.KeyID
	}
	second := newKey(t)
	g.write("keys/acme/SECOND.json", `{"state":"prepared"}`)
	g.write("keys/acme/SECOND.pem", second)
	g.await("the prepared key in JWKS", func() bool {
		r, err := call(http.MethodGet, g.url+"/v1/environments/acme/jwks.json", "")
		return err == nil && strings.Contains(string(r.body), "SECOND")
	})
	if got := keyID(); got != "KEYacme" {
		t.Errorf("a prepared key signs: %s", got)
	}
	g.write("keys/acme/SECOND.json", `{"state":"active","activated_at":1800000000}`)
	g.write("keys/acme/KEYacme.json", `{"state":"retired","activated_at":1700000000}`)
	g.await("the second key", func() bool { return keyID() == "SECOND" })
	if answers, bad := stop(); bad != "" {
		t.Errorf("%d good answers, then %s", answers, bad)
	}
}

func TestStartFailsLoudly(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		change func(files)
		want   string
	}{
		"unknown setting":              {func(f files) { f["playgate.yaml"] = "sever: {}\n" + f["playgate.yaml"] }, "sever"},
		"section not built":            {func(f files) { f["playgate.yaml"] = "redis: {address: x}\n" + f["playgate.yaml"] }, "redis"},
		"rules do not compile":         {func(f files) { f["rules-acme.yaml"] = strings.Replace(openRules, "'true'", "'tru'", 1) }, "rules[0].when"},
		"several keys without a state": {func(f files) { f["keys/acme/OTHER.pem"] = f["keys/acme/KEYacme.pem"] }, "OTHER.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "", "acme")
			change.change(w.files)
			status, _, stderr := run(t, w.files, "serve", "--config", "playgate.yaml")
			if status != 1 || !strings.Contains(stderr, change.want) {
				t.Errorf("exit %d, want 1 and %q in:\n%s", status, change.want, stderr)
			}
		})
	}
}
