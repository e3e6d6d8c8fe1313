package app_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/keystore/keystoretest"
)

// started runs a gateway on a configuration file until the test ends.
func started(t *testing.T, path string) *app.App {
	t.Helper()
	a, err := app.New(app.Options{Path: path, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	return a
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReloadRefusesAnEmptiedFile: a file that was just truncated is valid YAML
// and would take every environment away.
func TestReloadRefusesAnEmptiedFile(t *testing.T) {
	t.Parallel()
	path := write(t, configuration)
	a := started(t, path)
	for _, emptied := range []string{"", "server: {drain_delay: 0}\n"} {
		put(t, path, emptied)
		if err := a.Reload(t.Context()); err == nil {
			t.Errorf("Reload of %q succeeded", emptied)
		}
		if code, body := get(t, "http://"+a.Addr().String()+"/v1/playback-ids/P1/token"); code != http.StatusOK {
			t.Errorf("after %q: %d %s", emptied, code, body)
		}
	}
}

// TestContradictingKeysDoNotUndoAReload: rules and keys have states of their
// own, and what is said of each is true.
func TestContradictingKeysDoNotUndoAReload(t *testing.T) {
	t.Parallel()
	text := strings.Replace(configuration, "driver: memory", "driver: file", 1)
	path := write(t, text)
	keys := filepath.Join(filepath.Dir(path), "keys", "acme")
	put(t, filepath.Join(keys, "ONE.pem"), string(keystoretest.PEM(t, 1)))
	a := started(t, path)
	url := "http://" + a.Addr().String() + "/v1/playback-ids/P1/token"
	if code, body := get(t, url); code != http.StatusOK || !strings.Contains(body, `"rule":"open"`) {
		t.Fatalf("%d %s", code, body)
	}
	put(t, filepath.Join(keys, "TWO.pem"), string(keystoretest.PEM(t, 2)))
	put(t, path, strings.Replace(text, "id: open", "id: second", 1))
	err := a.Reload(t.Context())
	var refused *app.KeysError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "TWO.pem") {
		t.Errorf("Reload = %v, want a KeysError that names the key", err)
	}
	if code, body := get(t, url); code != http.StatusOK || !strings.Contains(body, `"rule":"second"`) || !strings.Contains(body, `"key_id":"ONE"`) {
		t.Errorf("after the reload: %d %s, want the new rules and the last good key", code, body)
	}
}

// TestSettingsThatTakeARestartAreComparedWithTheStart: not with what was loaded
// last, which is not what is in force.
func TestSettingsThatTakeARestartAreComparedWithTheStart(t *testing.T) {
	t.Parallel()
	path := write(t, configuration)
	var log gatewayLog
	a, err := app.New(app.Options{Path: path, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	log.gateway = a
	t.Cleanup(func() { _ = a.Stop() })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n, step := range []struct {
		text string
		want int // warnings
	}{
		{configuration + "log: {format: text}\n", 1},
		{configuration + "log: {format: text}\n\n", 1}, // it is still so
		{configuration, 0},
	} {
		put(t, path, step.text)
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		text := log.take(t)
		if got := strings.Count(text, "a changed setting takes a restart"); got != step.want {
			t.Errorf("reload %d: %d warnings, want %d\n%s", n+1, got, step.want, text)
		}
	}
}
