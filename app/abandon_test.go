//go:build unix

package app_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/playgate/playgate/app"
)

// filed is the configuration with its rules in a file beside it.
func filed(t *testing.T) (path, rules string) {
	t.Helper()
	path = write(t, strings.Replace(configuration, "policy: {version: 1, rules: [{id: open, effect: allow, when: 'true'}]}", "policy_file: rules.yaml", 1))
	rules = filepath.Join(filepath.Dir(path), "rules.yaml")
	put(t, rules, "{version: 1, rules: [{id: open, effect: allow, when: 'true'}]}")
	return path, rules
}

// hang puts a pipe in place of a file: who reads it waits until release is called.
// The caller is told when somebody does.
func hang(t *testing.T, path string) (awaitReader, release func()) {
	t.Helper()
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	writer := -1
	awaitReader = func() {
		t.Helper()
		eventually(t, "nobody reads "+path, func() bool {
			fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_NONBLOCK, 0) // fails without a reader
			writer = fd
			return err == nil
		})
	}
	release = func() {
		t.Helper()
		if err := syscall.Close(writer); err != nil {
			t.Error(err)
		}
	}
	return awaitReader, release
}

// eventually polls until the condition holds.
func eventually(t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

func TestAReloadIsAbandonedWithItsContext(t *testing.T) {
	t.Parallel()
	path, rules := filed(t)
	a := started(t, path)
	url := "http://" + a.Addr().String() + "/v1/playback-ids/P1/token"
	awaitReader, release := hang(t, rules)

	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Reload(ctx) }()
	awaitReader()
	gone := errors.New("the caller is gone")
	cancel(gone)
	if err := <-ended; !errors.Is(err, gone) {
		t.Errorf("Reload = %v, want the cause", err)
	}
	if code, body := get(t, url); code != http.StatusOK || !strings.Contains(body, `"rule":"open"`) {
		t.Errorf("after the abandoned reload: %d %s", code, body)
	}

	put(t, rules+".next", "{version: 1, rules: [{id: second, effect: allow, when: 'true'}]}")
	if err := os.Rename(rules+".next", rules); err != nil {
		t.Fatal(err)
	}
	release() // what was begun ends: an empty document
	if err := a.Reload(t.Context()); err != nil {
		t.Errorf("Reload after an abandoned one = %v", err)
	}
	if code, body := get(t, url); code != http.StatusOK || !strings.Contains(body, `"rule":"second"`) {
		t.Errorf("after the next reload: %d %s", code, body)
	}
}

func TestAStopAbandonsAReload(t *testing.T) {
	t.Parallel()
	path, rules := filed(t)
	a := started(t, path)
	awaitReader, release := hang(t, rules)
	ended := make(chan error, 1)
	go func() { ended <- a.Reload(t.Context()) }()
	awaitReader()
	if err := a.Stop(); err != nil {
		t.Errorf("Stop = %v", err)
	}
	if err := <-ended; !errors.Is(err, app.ErrStopped) {
		t.Errorf("Reload = %v, want %v", err, app.ErrStopped)
	}
	release()
}

// TestSIGTERMDuringAReloadDrainsAtOnce: the file that the reload waits for never
// comes.
func TestSIGTERMDuringAReloadDrainsAtOnce(t *testing.T) {
	t.Parallel()
	path, rules := filed(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, strings.Replace(string(text), "drain_delay: 0", "drain_delay: 1h", 1))
	a, err := app.New(app.Options{Path: path, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	signals, ran := make(chan os.Signal), make(chan error, 1)
	go func() { ran <- a.Run(context.Background(), signals) }()
	ready := func(want int) func() bool {
		return func() bool {
			code, _ := get(t, "http://"+a.AdminAddr().String()+"/readyz")
			return code == want
		}
	}
	eventually(t, "never ready", ready(http.StatusOK))
	awaitReader, release := hang(t, rules)
	signals <- syscall.SIGHUP
	awaitReader()
	signals <- syscall.SIGHUP // a reload that hangs takes no signal's place
	signals <- syscall.SIGTERM
	eventually(t, "it does not drain", ready(http.StatusServiceUnavailable))
	signals <- syscall.SIGTERM // skips drain_delay
	if err := <-ran; err != nil {
		t.Errorf("Run = %v", err)
	}
	release()
}
