package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// browser is what browser.mjs launches.
type browser struct {
	Executable string            `json:"executable"`
	Profile    string            `json:"profile"` // an empty folder
	Hosts      map[string]string `json:"hosts"`   // name → address; every other name is unknown
}

// pageHost is the host of the pages of the tests, below the gateway's own
// acme.example as a customer's would be.
const pageHost = "www.acme.example"

// newBrowser serves a page with Mux's player at https://www.acme.example/, the
// simulated Mux under Mux's own names, and nothing else.
func newBrowser(t *testing.T, mux http.Handler) browser {
	t.Helper()
	b := browser{Executable: needChromium(t), Profile: t.TempDir(), Hosts: map[string]string{}}
	needNode(t)
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Acme</title><link rel="icon" href="data:,"><script type="module" src="mux-player.mjs"></script><body>`))
	})
	pages.HandleFunc("GET /mux-player.mjs", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		http.ServeFile(w, r, filepath.Join("node", "node_modules", "@mux", "mux-player", "dist", "mux-player.mjs"))
	})
	pages.HandleFunc("GET /cv/js/", func(w http.ResponseWriter, _ *http.Request) { // the player looks for Chromecast
		w.Header().Set("Content-Type", "text/javascript")
	})
	b.serve(t, pages, pageHost, "www.gstatic.com")
	b.serve(t, mux, "stream.mux.com", "image.mux.com", "license.mux.com", "stats.mux.com")
	return b
}

// serve serves a handler on TLS, under the names.
func (b browser) serve(t *testing.T, h http.Handler, names ...string) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	for _, name := range names {
		b.Hosts[name] = server.Listener.Addr().String()
	}
}

// certificate returns a certificate and its key as PEM. Nobody checks it.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	private, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// careless trusts any certificate.
func careless() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

// startTLS runs a gateway behind TLS, as https://<name> for each name.
func startTLS(t *testing.T, w *world, b browser, names ...string) *gateway {
	t.Helper()
	w.files["tls.crt"], w.files["tls.key"] = certificate(t)
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], "server: {", "server: {tls: {cert_file: tls.crt, key_file: tls.key}, ", 1)
	g := start(t, w.files)
	_, address, _ := strings.Cut(g.url, "://")
	if _, _, err := net.SplitHostPort(address); err != nil {
		t.Fatal(err)
	}
	g.url = "https://" + address
	for _, name := range names {
		b.Hosts[name] = address
	}
	return g
}

// demoTells is what the demo page says at one moment.
type demoTells struct {
	Viewer, Video                              string
	State, Status, Reason, By, Rule, Rendition string
	Key                                        string
	Renewals                                   int
	Exp, Refresh                               int64
	Playing                                    bool
}

// edgeLine is one of Mux's answers on the demo page.
type edgeLine struct {
	ID, Reason string
	Status     int
}

type demoTour struct {
	Premium struct {
		demoTells
		Claims map[string]string
		Header string
		Tabs   []string
	}
	Attacks  []edgeLine
	Refusals []demoTells
	Plays    []demoTells
	Wall     demoTells
	Licence  edgeLine
	Renewal  struct {
		First, Renewed, Last          demoTells
		Expired                       edgeLine
		Navigations, Loads, Documents int
		SameDocument                  bool
	}
	Lockdown struct{ Before, Renewing, Again, Free, Back demoTells }
	Console  []struct{ Type, Text string }
	Failed   []struct{ URL, Why string }
	Foreign  []string
}

// startDemo runs `playgate demo` and returns the URL that it prints.
func startDemo(t *testing.T) string {
	t.Helper()
	log := &logBuffer{}
	cmd := exec.Command(binary, "demo", "--listen", "127.0.0.1:0", "--mux-listen", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil || strings.Contains(log.String(), "DATA RACE") {
				t.Errorf("the demo ended with %v\n%s", err, log)
			}
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("the demo does not end\n%s", log)
		}
	})
	printed := regexp.MustCompile(`(?m)^\s*open\s+(http://\S+/demo/)$`)
	deadline := time.Now().Add(30 * time.Second)
	for {
		if found := printed.FindStringSubmatch(log.String()); found != nil {
			return found[1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("the demo does not say what to open\n%s", log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestDemoPage is the whole product in a real browser: the video plays, is
// renewed without a reload, is refused, and cannot be had by a bad token.
func TestDemoPage(t *testing.T) {
	t.Parallel()
	b := browser{Executable: needChromium(t), Profile: t.TempDir()}
	needNode(t)
	var tour demoTour
	node(t, "demo.mjs", map[string]any{"browser": b, "demo": startDemo(t), "screenshots": t.ArtifactDir()}, &tour)
	t.Run("premium plays", func(t *testing.T) { tour.premium(t) })
	t.Run("bad tokens", func(t *testing.T) { tour.attacks(t) })
	t.Run("who gets what", func(t *testing.T) { tour.decisions(t) })
	t.Run("renewal", func(t *testing.T) { tour.renewal(t) })
	t.Run("other rules", func(t *testing.T) { tour.rules(t) })
	for _, line := range tour.Console {
		// The browser itself notes each 4xx, which the tour asks for.
		if (line.Type == "error" || line.Type == "exception") && !strings.HasPrefix(line.Text, "Failed to load resource: the server responded with a status of 4") {
			t.Errorf("console: %s: %s", line.Type, line.Text)
		}
	}
	for _, f := range tour.Failed {
		// Left unfinished by the next choice, or a picture that Mux refused.
		if !strings.Contains(f.Why, "ERR_ABORTED") && !strings.Contains(f.Why, "ERR_BLOCKED_BY_ORB") {
			t.Errorf("a request failed: %s %s", f.Why, f.URL)
		}
	}
	if len(tour.Foreign) > 0 {
		t.Errorf("the page goes to others than gateway and Mux: %v", tour.Foreign)
	}
}

func (d *demoTour) premium(t *testing.T) {
	p := d.Premium
	if p.Rule != "premium" || p.Key == "" || p.Reason != "" {
		t.Errorf("%+v", p.demoTells)
	}
	if p.Header != `{"alg":"RS256","typ":"JWT"}` || p.Claims["sub"] != "DemoPremiere01" || p.Claims["aud"] != "v" || p.Claims["kid"] != p.Key || p.Claims["exp"] != strconv.FormatInt(p.Exp, 10) {
		t.Errorf("the token shown is %s %v", p.Header, p.Claims)
	}
	if diff := cmp.Diff([]string{"video", "thumbnail", "storyboard"}, p.Tabs); diff != "" {
		t.Errorf("tabs (-want +got)\n%s", diff)
	}
}

func (d *demoTour) attacks(t *testing.T) {
	want := []edgeLine{{"#tamper", "bad_signature", 403}, {"#wrong-video", "sub_mismatch", 403}, {"#wrong-use", "aud_mismatch", 403}, {"#expired", "token_expired", 403}}
	if diff := cmp.Diff(want, append(d.Attacks, d.Renewal.Expired)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func (d *demoTour) decisions(t *testing.T) {
	got := map[string]string{}
	for _, r := range d.Refusals {
		got[r.Viewer+" "+r.Video] = r.By + ": " + r.Reason
		if r.Playing || r.Exp != 0 {
			t.Errorf("refused, and yet: %+v", r)
		}
	}
	for _, p := range d.Plays {
		got[p.Viewer+" "+p.Video] = p.Rule
		if (p.Exp == 0) != (p.Video == "trailer") {
			t.Errorf("a token where there must be none, or none: %+v", p)
		}
	}
	want := map[string]string{
		"blocked premiere": "gateway: account_blocked", "blocked trailer": "gateway: account_blocked",
		"free vault": "gateway: no_matching_rule", "free live": "gateway: no_matching_rule",
		"premium off-air": "gateway: live_stream_disabled", "premium soon": "gateway: asset_not_ready",
		"premium lesson": "gateway: unknown_playback_id", "pupil vault": "gateway: type_not_granted",
		"free premiere": "preview", "premium trailer": "trailers", "pupil lesson": "lessons", "premium live": "premium", "premium vault": "premium",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// The pupil's environment signs what it does not know, with its own key.
	if d.Wall.By != "mux" || d.Wall.Reason != "unknown_key" {
		t.Errorf("another environment's video: %+v", d.Wall)
	}
	if d.Licence.Status != 200 {
		t.Errorf("the licence: %+v", d.Licence)
	}
}

func (d *demoTour) renewal(t *testing.T) {
	r := d.Renewal
	if r.First.Renewals != 0 || r.Renewed.Renewals < 1 || r.Last.Renewals < r.Renewed.Renewals || r.Last.Exp <= r.First.Exp {
		t.Errorf("at first %+v\nthen %+v\nat last %+v", r.First, r.Renewed, r.Last)
	}
	if r.Navigations != 1 || r.Documents != 1 || !r.SameDocument || r.Loads > 1 {
		t.Errorf("navigations %d, documents %d, the same: %v, media loaded anew: %d", r.Navigations, r.Documents, r.SameDocument, r.Loads)
	}
	if r.Last.State != "playing" || r.Last.Reason != "" {
		t.Errorf("after the first token's end: %+v", r.Last)
	}
}

func (d *demoTour) rules(t *testing.T) {
	l := d.Lockdown
	if l.Renewing.State != "ending" || l.Renewing.Reason != "lockdown" || l.Renewing.By != "gateway" {
		t.Errorf("the renewal under other rules: %+v", l.Renewing)
	}
	if l.Again.Reason != "lockdown" || l.Again.By != "gateway" || l.Again.Playing {
		t.Errorf("playing under other rules: %+v", l.Again)
	}
	if l.Free.Rule != "free-films" || l.Free.Rendition != "270p" {
		t.Errorf("the free film under other rules: %+v", l.Free)
	}
	if l.Back.Rule != "premium" || l.Back.Reason != "" {
		t.Errorf("back under the first rules: %+v", l.Back)
	}
}
