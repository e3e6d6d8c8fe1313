package app

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/playgate/playgate/clock/clocktest"
	"github.com/playgate/playgate/playback"
)

// TestJobsGoByAClockThatNobodySets: a machine came up with a clock that was an hour
// ahead, which was set back. What a webhook leaves to be done is done at once, and
// what failed is tried again a second later, not an hour.
func TestJobsGoByAClockThatNobodySets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "playgate.yaml")
	for name, text := range map[string]string{path: `
server: {listen: "127.0.0.1:0", admin_listen: "", drain_delay: 0}
keystore: {driver: memory}
store: {driver: sqlite}
organizations:
  - id: acme
    environments:
      - id: acme
        anonymous: true
        mux: {environment_id: mux1, token_id: t, token_secret_file: secret, base_url: "http://127.0.0.1:1"}
`, filepath.Join(filepath.Dir(path), "secret"): "s"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const ahead = time.Hour
	source := clocktest.New(time.Now().Add(ahead))
	a, err := New(Options{Path: path, Log: io.Discard, Clock: source})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	source.Set(-ahead)
	a.clock.Check()
	source.Pass(time.Minute)
	a.clock.Check() // believes it
	if by := a.clock.Steady().Sub(a.clock.Now()); by < ahead-time.Minute {
		t.Fatalf("the clocks differ by %s, so that nothing is shown", by)
	}

	body := `{"type": "video.asset.track.ready", "id": "e1", "created_at": "2026-01-02T03:04:05.678901Z",
		"object": {"type": "asset", "id": "A1"}, "environment": {"id": "mux1"}, "data": {"id": "T1"}}`
	if outcome, err := a.state.Load().inboxes["acme"].Take(t.Context(), []byte(body)); err != nil || outcome != "checked" {
		t.Fatalf("a webhook that only says to look again: %s, %v", outcome, err)
	}
	due := func(at time.Time) bool {
		environments, err := a.store.DueJobs(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(environments, playback.EnvironmentID("acme"))
	}
	if !due(a.clock.Steady()) || due(a.clock.Steady().Add(-time.Second)) {
		t.Error("the job is not due from now on")
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { a.outbox.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	attempted := func() bool { // once it is claimed, or waits, it is not due
		return !due(a.clock.Steady())
	}
	for deadline := time.Now().Add(30 * time.Second); !attempted(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the job is not done")
		}
	}
	if !due(a.clock.Steady().Add(time.Minute)) {
		t.Error("the job is put off by more than a minute")
	}
}
