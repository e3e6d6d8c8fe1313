package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/telemetry"
)

// output is a writer whose reader may stop.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	blocked chan struct{} // nil: it is read
}

func (o *output) Write(p []byte) (int, error) {
	if o.blocked != nil {
		<-o.blocked
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// unstarted is an App that only has a life: nothing but cleanups to stop.
func unstarted(log *output) *App {
	a := &App{opts: Options{Log: log}, reloading: newExclusive()}
	a.logs = telemetry.Open(telemetry.Config{Writer: log, Format: "json", Level: slog.LevelInfo, Now: time.Now})
	a.log = a.logs.Logger()
	a.life.init()
	a.state.Store(&state{loaded: &configs.Loaded{Config: &configs.Config{}}})
	return a
}

// never is a cleanup that takes no notice of its context.
func never(release <-chan struct{}) func(context.Context) error {
	return func(context.Context) error { <-release; return nil }
}

func TestAStopThatHangsIsGivenUpWithStacks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signals []os.Signal
		after   time.Duration
	}{
		"after its deadline":                        {nil, drainTimeout + stopSlack},
		"a hangup changes nothing":                  {[]os.Signal{syscall.SIGHUP}, drainTimeout + stopSlack},
		"a moment after the second signal":          {[]os.Signal{syscall.SIGTERM}, hurriedTimeout},
		"further signals do not give it more again": {[]os.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGINT}, hurriedTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log output
				a := unstarted(&log)
				release := make(chan struct{})
				a.life.onStop("what hangs", never(release))
				signals := make(chan os.Signal, 8)
				for _, s := range c.signals {
					signals <- s
				}
				began := time.Now()
				err := a.stopInTime(signals)
				if took := time.Since(began); took != c.after { // in the bubble's time
					t.Errorf("it was given up after %v, want %v", took, c.after)
				}
				if !errors.Is(err, ErrStopTimeout) || !strings.Contains(log.text.String(), "app.(*lifecycle).undo(") {
					t.Errorf("stop = %v, want %v and the stack of what hangs:\n%s", err, ErrStopTimeout, &log.text)
				}
				close(release)
			})
		})
	}
}

func TestAnUnreadPipeDoesNotHoldUpTheExit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := output{blocked: make(chan struct{})}
		a := unstarted(&log)
		a.log.Info("a line that nobody reads")
		release := make(chan struct{})
		a.life.onStop("what hangs", never(release))
		began := time.Now()
		if err := a.stopInTime(nil); !errors.Is(err, ErrStopTimeout) {
			t.Errorf("stop = %v", err)
		}
		if took, most := time.Since(began), drainTimeout+stopSlack+2*logTime; took > most {
			t.Errorf("it took %v, want %v at most", took, most)
		}
		close(log.blocked)
		close(release)
	})
}

func TestRequestsUnderWayAreWaitedForUntilTheSecondSignal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signals []os.Signal
		takes   time.Duration // that the request under way does
		want    error
		after   time.Duration
		stacks  bool
	}{
		"it ends":         {nil, 10 * time.Second, nil, 10 * time.Second, false},
		"it does not":     {nil, time.Hour, context.DeadlineExceeded, drainTimeout, true},
		"a second signal": {[]os.Signal{syscall.SIGINT}, time.Hour, errHurried, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log output
				a := unstarted(&log)
				undone := false
				a.life.onStop("what comes after it", func(context.Context) error { undone = true; return nil })
				a.life.onStop("the server", a.life.unlessHurried(func(ctx context.Context) error {
					select {
					case <-time.After(c.takes):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}))
				signals := make(chan os.Signal, 1)
				for _, s := range c.signals {
					signals <- s
				}
				began := time.Now()
				err := a.stopInTime(signals)
				if took := time.Since(began); !errors.Is(err, c.want) || took != c.after || !undone {
					t.Errorf("stop = %v after %v, the rest undone: %v; want %v after %v", err, took, undone, c.want, c.after)
				}
				if stacks := strings.Contains(log.text.String(), "goroutine "); stacks != c.stacks {
					t.Errorf("stacks written: %v, want %v", stacks, c.stacks)
				}
			})
		})
	}
}
