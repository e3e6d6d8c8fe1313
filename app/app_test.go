package app_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/app"
)

const configuration = `
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_delay: 0}
keystore: {driver: memory}
organizations:
  - id: acme
    environments:
      - id: acme
        anonymous: true
        policy: {version: 1, rules: [{id: open, effect: allow, when: 'true'}]}
`

// write puts a configuration into a folder of its own and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "playgate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newApp(t *testing.T) *app.App {
	t.Helper()
	a, err := app.New(app.Options{Path: write(t, configuration), Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestStartServesAndStopEnds(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	url := "http://" + a.Addr().String()
	if code, body := get(t, url+"/v1/playback-ids/P1/token"); code != http.StatusOK {
		t.Errorf("token: %d %s", code, body)
	}
	admin := "http://" + a.AdminAddr().String()
	if code, body := get(t, admin+"/readyz"); code != http.StatusOK || !strings.Contains(body, `"ready"`) {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code, body := get(t, admin+"/metrics"); code != http.StatusOK || !strings.Contains(body, `playgate_token_cache_total{result="miss"} 1`) ||
		!strings.Contains(body, "playgate_key_signing_left_seconds{environment=") || strings.Contains(body, "playgate_key_last_refresh_timestamp_seconds 0") {
		t.Errorf("metrics: %d %s", code, body)
	}
	if code, _ := get(t, admin+"/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("pprof is on without being asked for: %d", code)
	}
	if err := a.Stop(); err != nil {
		t.Errorf("Stop = %v", err)
	}
	if code, _ := get(t, url+"/v1/playback-ids/P1/token"); code != 0 {
		t.Errorf("after Stop the gateway answers %d", code)
	}
	if err := a.Stop(); err != nil {
		t.Errorf("second Stop = %v", err)
	}
}

func TestOrderOfLife(t *testing.T) {
	t.Parallel()
	t.Run("stop before start", func(t *testing.T) {
		t.Parallel()
		a := newApp(t)
		if err := a.Stop(); err != nil {
			t.Errorf("Stop = %v", err)
		}
		if err := a.Start(context.Background()); !errors.Is(err, app.ErrStopped) {
			t.Errorf("Start after Stop = %v", err)
		}
		if err := a.Reload(t.Context()); !errors.Is(err, app.ErrStopped) {
			t.Errorf("Reload after Stop = %v", err)
		}
	})
	t.Run("start twice", func(t *testing.T) {
		t.Parallel()
		a := newApp(t)
		if err := a.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := a.Start(context.Background()); !errors.Is(err, app.ErrStarted) {
			t.Errorf("second Start = %v", err)
		}
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("reload before start", func(t *testing.T) {
		t.Parallel()
		a := newApp(t)
		if err := a.Reload(t.Context()); err != nil {
			t.Errorf("Reload before Start = %v", err)
		}
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("two in one process", func(t *testing.T) {
		t.Parallel()
		one, two := newApp(t), newApp(t)
		for _, a := range []*app.App{one, two} {
			if err := a.Start(context.Background()); err != nil {
				t.Error(err)
			}
		}
		for _, a := range []*app.App{one, two} {
			if err := a.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestConcurrentStartReloadStop(t *testing.T) {
	t.Parallel()
	for range 8 {
		a := newApp(t)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { _ = a.Start(context.Background()) })
			all.Go(func() { _ = a.Reload(t.Context()) })
			all.Go(func() { _ = a.Stop() })
		}
		all.Wait()
		if err := a.Stop(); err != nil {
			t.Errorf("Stop = %v", err)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, nil) }()
	deadline := time.Now().Add(10 * time.Second)
	for code := 0; code != http.StatusOK; code, _ = get(t, "http://"+a.AdminAddr().String()+"/readyz") {
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Run = %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not end")
	}
}

func TestNewFailsWhole(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, text := range map[string]string{
		"port taken":       strings.Replace(configuration, `listen: "127.0.0.1:0"`, `listen: "`+taken.Addr().String()+`"`, 1),
		"admin port taken": strings.Replace(configuration, `admin_listen: "127.0.0.1:0"`, `admin_listen: "`+taken.Addr().String()+`"`, 1),
		"bad rules":        strings.Replace(configuration, "'true'", "'maybe'", 1),
		"unknown setting":  configuration + "colour: blue\n",
		"not YAML":         "{",
		"empty":            "",
	} {
		a, err := app.New(app.Options{Path: write(t, text), Log: io.Discard})
		if name == "empty" {
			continue // legal or not is configs' business; it must only not hang
		}
		if err == nil {
			t.Errorf("%s: New succeeded", name)
			_ = a.Stop()
		}
	}
}

func TestReloadKeepsTheOldStateWhenTheNewIsBad(t *testing.T) {
	t.Parallel()
	path := write(t, configuration)
	a, err := app.New(app.Options{Path: path, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	if err := os.WriteFile(path, []byte(configuration+"colour: blue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("Reload = %v, want the problem's path", err)
	}
	if code, body := get(t, "http://"+a.Addr().String()+"/v1/playback-ids/P1/token"); code != http.StatusOK {
		t.Errorf("after a bad reload: %d %s", code, body)
	}
	if _, metrics := get(t, "http://"+a.AdminAddr().String()+"/metrics"); !strings.Contains(metrics, "playgate_config_last_reload_successful 0") {
		t.Error("the metric does not say that a reload failed")
	}
}
