package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/clock"
	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
	"github.com/playgate/playgate/telemetry"
)

// quiet returns a log that nobody sees.
func quiet(t *testing.T) *telemetry.Log {
	t.Helper()
	logs := telemetry.Open(telemetry.Config{Writer: io.Discard, Level: slog.LevelInfo, Now: time.Now})
	t.Cleanup(func() { _ = logs.Close(context.Background()) })
	return logs
}

// gated is a source in which one environment is not answered for until it is let.
type gated struct {
	key    *keystore.Key
	behind playback.EnvironmentID
	gate   chan struct{}
}

func (g *gated) Load(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	if env != g.behind {
		return []keystore.Record{{Key: *g.key}}, nil, nil
	}
	select {
	case <-g.gate:
		return nil, nil, errors.New("sealed")
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

func (*gated) Close() error { return nil }

// TestNotReadyUntilEveryEnvironmentWasTried: contract §2. One environment that
// signs makes the gateway ready only when the others were tried; that one of them
// cannot sign is no reason not to be.
func TestNotReadyUntilEveryEnvironmentWasTried(t *testing.T) {
	t.Parallel()
	source := &gated{keystoretest.Key(t, "K1", 1, keystore.Active), "late", make(chan struct{})}
	backend, err := signer.OpenBackend(signer.BackendGo, nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := signer.NewRing(signer.RingConfig{Backend: backend})
	seen := make(chan playback.EnvironmentID, 1)
	logs := quiet(t)
	a := &App{clock: clock.New(clock.Config{}), ring: ring, logs: logs, log: logs.Logger(), dependencies: new(dependencies), catalogues: &catalogues{library: new(catalog.Library)}}
	a.keys = keystore.NewWatcher(keystore.Config{Source: source, Driver: "fake", Logger: a.log, OnChange: func(env playback.EnvironmentID, set keystore.Keyset) {
		ring.Set(env, set)
		seen <- env
	}})
	both := []playback.EnvironmentID{"early", "late"}
	a.state.Store(&state{environments: both})
	a.life.phase = started
	a.accepting.Store(true)
	ring.SetEnvironments(both)
	a.keys.SetEnvironments(both)
	done := make(chan error, 1)
	go func() { done <- a.keys.Start(context.Background()) }()
	if env := <-seen; env != "early" {
		t.Fatalf("%s was read first", env)
	}
	if r := a.readiness(); r.Status != statusNotReady || !strings.Contains(fmt.Sprint(r.Reasons), "environment late: its keys were not read yet") {
		t.Errorf("one of two environments was tried: %+v", r)
	}
	close(source.gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	defer a.keys.Stop()
	if r := a.readiness(); r.Status != statusReady || !strings.Contains(fmt.Sprint(r.Reasons), "environment late: no active signing key") {
		t.Errorf("both were tried: %+v", r)
	}
	a.accepting.Store(false)
	if r := a.readiness(); r.Status != statusNotReady {
		t.Errorf("nobody is served yet: %+v", r)
	}
}

// TestReadinessNamesAFewOfManyEnvironments: what /readyz says does not grow with
// the number of environments.
func TestReadinessNamesAFewOfManyEnvironments(t *testing.T) {
	t.Parallel()
	backend, err := signer.OpenBackend(signer.BackendGo, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &App{clock: clock.New(clock.Config{}), ring: signer.NewRing(signer.RingConfig{Backend: backend}), logs: quiet(t), dependencies: new(dependencies), catalogues: &catalogues{library: new(catalog.Library)}}
	a.keys = keystore.NewWatcher(keystore.Config{Source: &gated{}, Driver: "fake", Now: time.Now})
	var many []playback.EnvironmentID
	for n := range 1000 {
		many = append(many, playback.EnvironmentID(fmt.Sprintf("env-%d", n)))
	}
	a.state.Store(&state{environments: many})
	a.keys.SetEnvironments(many)
	a.life.phase = started
	a.accepting.Store(true)
	r := a.readiness()
	if r.Status != statusNotReady || len(r.Reasons) != 1 || !strings.Contains(r.Reasons[0], "1000 of 1000 environments were not read yet") {
		t.Errorf("readiness = %+v", r)
	}
}
