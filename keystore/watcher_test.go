package keystore_test

import (
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
)

const acme, globex playback.EnvironmentID = "acme", "globex"

// fake is a source that does what a test says.
type fake struct {
	mu       sync.Mutex // guards all
	records  map[playback.EnvironmentID][]keystore.Record
	problems []keystore.Problem
	err      error
	hang     bool          // answers only when its context ends
	takes    time.Duration // of a Load; 0: a millisecond
	times    map[playback.EnvironmentID][]time.Time
	loading  int
	most     int // loads at one time
}

func newFake() *fake {
	return &fake{records: map[playback.EnvironmentID][]keystore.Record{}, times: map[playback.EnvironmentID][]time.Time{}}
}

func (f *fake) Load(ctx context.Context, env playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	f.mu.Lock()
	f.times[env] = append(f.times[env], time.Now())
	f.loading++
	f.most = max(f.most, f.loading)
	hang, takes := f.hang, stdcmp.Or(f.takes, time.Millisecond)
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
	} else {
		time.Sleep(takes) // of synctest's clock
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loading--
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	return slices.Clone(f.records[env]), f.problems, f.err
}

func (f *fake) Close() error { return nil }

func (f *fake) set(env playback.EnvironmentID, keys ...*keystore.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[env] = nil
	for _, k := range keys {
		f.records[env] = append(f.records[env], keystore.Record{Key: *k})
	}
}

func (f *fake) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fake) calls(env playback.EnvironmentID) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.times[env])
}

// rig is a Watcher on a fake source.
type rig struct {
	*keystore.Watcher
	source   *fake
	registry *prometheus.Registry
	logs     *logs

	mu           sync.Mutex // guards what follows
	environments []playback.EnvironmentID
	last         string   // what was in force when OnChange was last called; at first no key
	changes      []string // what was in force after each OnChange that made a difference
}

type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func newRig(t *testing.T, source keystore.Source, environments ...playback.EnvironmentID) *rig {
	t.Helper()
	r := &rig{registry: prometheus.NewPedanticRegistry(), logs: &logs{}}
	r.source, _ = source.(*fake)
	r.Watcher = keystore.NewWatcher(keystore.Config{
		Source: source, Driver: "fake", Interval: 10 * time.Second, Registerer: r.registry,
		Logger: slog.New(slog.NewTextHandler(r.logs, nil)), OnChange: r.changed,
	})
	r.SetEnvironments(environments)
	return r
}

func (r *rig) SetEnvironments(environments []playback.EnvironmentID) {
	r.mu.Lock()
	r.environments = slices.Sorted(slices.Values(environments))
	if r.last == "" {
		var none []string
		for _, env := range r.environments {
			none = append(none, string(env)+"=-")
		}
		r.last = strings.Join(none, " ")
	}
	r.mu.Unlock()
	r.Watcher.SetEnvironments(environments)
}

func (r *rig) changed(playback.EnvironmentID, keystore.Keyset) {
	now := r.actives()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now != r.last {
		r.changes, r.last = append(r.changes, now), now
	}
}

// actives lists the active key of each environment: "acme=K1 globex=-".
func (r *rig) actives() string {
	r.mu.Lock()
	environments := r.environments
	r.mu.Unlock()
	var list []string
	for _, env := range environments {
		id := "-"
		if key, ok := r.Keyset(env).Active(); ok {
			id = string(key.ID)
		}
		list = append(list, fmt.Sprintf("%s=%s", env, id))
	}
	return strings.Join(list, " ")
}

func (r *rig) want(t *testing.T, actual string, changes ...string) {
	t.Helper()
	synctest.Wait()
	if got := r.actives(); got != actual {
		t.Errorf("in force: %q, want %q", got, actual)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.changes, changes) {
		t.Errorf("OnChange was called with %q, want %q", r.changes, changes)
	}
}

func TestWatcherFollowsTheSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k1, k2 := keystoretest.Key(t, "K1", 1, keystore.Active), keystoretest.Key(t, "K2", 2, keystore.Active)
		f := newFake()
		f.set(acme, k1)
		r := newRig(t, f, acme, globex)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		r.want(t, "acme=K1 globex=-", "acme=K1 globex=-")
		before := r.Keyset(acme)

		time.Sleep(time.Minute)
		r.want(t, "acme=K1 globex=-", "acme=K1 globex=-")
		if before.Keys[0] != r.Keyset(acme).Keys[0] {
			t.Error("an unchanged key was replaced")
		}

		f.set(acme, k2)
		time.Sleep(13 * time.Second)
		r.want(t, "acme=K2 globex=-", "acme=K1 globex=-", "acme=K2 globex=-")

		f.set(acme) // withdrawn
		time.Sleep(13 * time.Second)
		r.want(t, "acme=- globex=-", "acme=K1 globex=-", "acme=K2 globex=-", "acme=- globex=-")
		if key, ok := before.Active(); !ok || key.ID != "K1" {
			t.Errorf("an old key set changed to %v", before)
		}
	})
}

func TestWatcherReadsEachEnvironmentEveryIntervalWithJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		time.Sleep(20 * time.Minute)
		calls := r.source.calls(acme)
		gaps := map[time.Duration]bool{}
		for i := 1; i < len(calls); i++ {
			gap := calls[i].Sub(calls[i-1]) - time.Millisecond // which Load takes
			gaps[gap] = true
			if gap < 8*time.Second || gap > 10*time.Second {
				t.Fatalf("a gap of %v, want 8 to 10 s", gap)
			}
		}
		if len(calls) < 100 || len(gaps) < 50 {
			t.Errorf("%d readings with %d different gaps", len(calls), len(gaps))
		}
	})
}

func TestAnUnavailableSourceKeepsTheLastGoodKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active))
		r := newRig(t, f, acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		f.set(acme)
		f.fail(errors.New("sealed"))
		time.Sleep(24 * time.Hour)
		r.want(t, "acme=K1", "acme=K1")
		if n := r.logs.count("last good ones stay in force"); n < 200 || n > 300 {
			t.Errorf("logged %d times in 24 hours, want every 5 minutes", n)
		}
		f.set(acme, keystoretest.Key(t, "K2", 2, keystore.Active))
		f.fail(nil)
		time.Sleep(13 * time.Second)
		r.want(t, "acme=K2", "acme=K1", "acme=K2")
		if r.logs.count("can be read again") != 1 {
			t.Error("the end of the outage was not logged once")
		}
	})
}

func TestAnAbsentSourceDoesNotHoldTheStartUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hang = true
		var many []playback.EnvironmentID
		for i := range 50 {
			many = append(many, playback.EnvironmentID(fmt.Sprintf("env-%d", i)))
		}
		r := newRig(t, f, many...)
		if r.Tried(many[0]) {
			t.Error("tried before Start")
		}
		begin := time.Now()
		if err := r.Start(t.Context()); err != nil {
			t.Fatalf("Start = %v: unavailability is no start-up error", err)
		}
		defer r.Stop()
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("Start took %v", took)
		}
		reached := 0
		for _, env := range many {
			tried := len(f.calls(env)) > 0
			if r.Tried(env) != tried {
				t.Errorf("%s: tried %v, but it was read %d times", env, r.Tried(env), len(f.calls(env)))
			}
			if tried {
				reached++
			}
		}
		if reached != 4 {
			t.Errorf("%d environments were reached, want 4: the others wait for their turn", reached)
		}
		f.mu.Lock()
		if f.most > 4 {
			t.Errorf("%d readings at one time", f.most)
		}
		f.hang = false
		f.mu.Unlock()
		f.set(many[7], keystoretest.Key(t, "K1", 1, keystore.Active))
		time.Sleep(time.Minute)
		if _, ok := r.Keyset(many[7]).Active(); !ok {
			t.Error("did not recover")
		}
	})
}

func TestWatcherBacksOffFromOneSecondToTheInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fail(errors.New("connection refused"))
		r := newRig(t, f, acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		time.Sleep(10 * time.Minute)
		calls := f.calls(acme)
		for i, seconds := range []int{1, 2, 4, 8, 10, 10, 10, 10} {
			want := time.Duration(seconds) * time.Second
			gap := calls[i+1].Sub(calls[i]) - time.Millisecond
			if gap < want*8/10 || gap > want*12/10 {
				t.Errorf("gap %d is %v, want about %v", i, gap, want)
			}
		}
	})
}

func TestKeysThatContradictEachOtherStopTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Stateless), keystoretest.Key(t, "K2", 2, keystore.Stateless))
		f.set(globex, keystoretest.Key(t, "K3", 3, keystore.Active))
		r := newRig(t, f, acme, globex)
		err := r.Start(t.Context())
		if !errors.Is(err, keystore.ErrSeveralStateless) || !strings.Contains(err.Error(), "environment acme") || strings.Contains(err.Error(), "globex") {
			t.Errorf("Start = %v, want an error that names acme", err)
		}
		time.Sleep(time.Hour)
		if n := len(f.calls(acme)); n != 1 {
			t.Errorf("%d readings after a failed start", n)
		}
		r.Stop()
	})
}

func TestKeysThatContradictEachOtherLaterChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Stateless))
		r := newRig(t, f, acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Stateless), keystoretest.Key(t, "K2", 2, keystore.Stateless))
		time.Sleep(time.Minute)
		r.want(t, "acme=K1", "acme=K1")
		if n := r.logs.count("contradict"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		if got := r.metrics(t)[`playgate_keystore_problems{environment="acme"}`]; got != 1 {
			t.Errorf("problems = %v, want 1", got)
		}
		if err := r.Reload(t.Context()); !errors.Is(err, keystore.ErrSeveralStateless) {
			t.Errorf("Reload = %v", err)
		}
		f.set(acme, keystoretest.Key(t, "K2", 2, keystore.Stateless))
		if err := r.Reload(t.Context()); err != nil {
			t.Errorf("Reload = %v", err)
		}
		r.want(t, "acme=K2", "acme=K1", "acme=K2")
	})
}

func TestEnvironmentsComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active))
		f.set(globex, keystoretest.Key(t, "K2", 2, keystore.Active))
		r := newRig(t, f, acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()

		r.SetEnvironments([]playback.EnvironmentID{acme, globex})
		if err := r.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.actives(); got != "acme=K1 globex=K2" {
			t.Errorf("after Reload: %q", got)
		}
		r.SetEnvironments([]playback.EnvironmentID{globex})
		r.want(t, "globex=K2", "acme=K1", "acme=K1 globex=K2", "globex=K2")
		before := len(f.calls(acme))
		time.Sleep(time.Hour)
		if after := len(f.calls(acme)); after != before {
			t.Errorf("a removed environment was read %d times", after-before)
		}
		if n := len(f.calls(globex)); n < 300 {
			t.Errorf("an added environment was read only %d times in an hour", n)
		}

		r.SetEnvironments([]playback.EnvironmentID{acme, globex}) // without Reload
		time.Sleep(time.Second)
		r.want(t, "acme=K1 globex=K2", "acme=K1", "acme=K1 globex=K2", "globex=K2", "acme=K1 globex=K2")
	})
}

func TestAnEnvironmentRemovedWhileItIsReadStaysRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hang = true
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active))
		r := newRig(t, f, acme)
		go func() {
			time.Sleep(time.Second)
			r.SetEnvironments(nil)
		}()
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		r.want(t, "")
		for series := range r.metrics(t) {
			if strings.Contains(series, "acme") {
				t.Errorf("a removed environment still has %s", series)
			}
		}
	})
}

func TestProblemsAreLoggedWhenTheyAppear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active))
		f.problems = []keystore.Problem{{Path: "keys/acme/K1.pem", Reason: "is world-readable", Warning: true}}
		r := newRig(t, f, acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		time.Sleep(time.Hour)
		if n := r.logs.count("is world-readable"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		if n := r.logs.count("level=WARN"); n != 1 {
			t.Errorf("%d warnings, want one", n)
		}
	})
}

// TestAnActivationThatIsHalfWrittenIsNoAlarm: two active keys are one only if
// they stay.
func TestAnActivationThatIsHalfWrittenIsNoAlarm(t *testing.T) {
	t.Parallel()
	for stays, want := range map[bool]int{false: 0, true: 1} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			before, after := keystoretest.Key(t, "K1", 1, keystore.Active), keystoretest.Key(t, "K2", 2, keystore.Active)
			before.ActivatedAt, after.ActivatedAt = time.Unix(1, 0), time.Unix(2, 0)
			f.set(acme, before, after)
			r := newRig(t, f, acme)
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer r.Stop()
			if n := r.logs.count("level=ERROR"); n != 0 {
				t.Errorf("%d alarms at once", n)
			}
			r.want(t, "acme=K2", "acme=K2")
			if !stays {
				retired := *before
				retired.State = keystore.Retired
				f.set(acme, &retired, after)
			}
			time.Sleep(time.Hour)
			if n := r.logs.count("counts as retired"); n != want || r.logs.count("level=ERROR") != want {
				t.Errorf("stays %v: alarmed %d times, want %d", stays, n, want)
			}
			if n := r.metrics(t)[`playgate_keystore_problems{environment="acme"}`]; n != float64(want) {
				t.Errorf("stays %v: %v problems, want %d", stays, n, want)
			}
		})
	}
}

func TestWatcherMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active), keystoretest.Key(t, "K2", 2, keystore.Active), keystoretest.Key(t, "K3", 3, keystore.Prepared))
		r := newRig(t, f, acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		at := time.Now().Unix()
		f.fail(errors.New("sealed"))
		time.Sleep(13 * time.Second)
		synctest.Wait()
		got := r.metrics(t)
		if n := got[`playgate_keystore_refresh_total{driver="fake",result="unavailable"}`]; n < 1 {
			t.Errorf("%v unavailable readings in 13 s, want some", n)
		}
		delete(got, `playgate_keystore_refresh_total{driver="fake",result="unavailable"}`)
		want := map[string]float64{
			`playgate_keystore_refresh_total{driver="fake",result="ok"}`:       1,
			`playgate_keystore_refresh_total{driver="fake",result="rejected"}`: 0,
			`playgate_keystore_keys{environment="acme",state="active"}`:        1,
			`playgate_keystore_keys{environment="acme",state="prepared"}`:      1,
			`playgate_keystore_keys{environment="acme",state="retired"}`:       1,
			`playgate_keystore_problems{environment="acme"}`:                   1,
			`playgate_key_last_refresh_timestamp_seconds{environment="acme"}`:  float64(at),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWatcherLifecycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), acme)
		r.Stop() // before Start
		r.Stop()
		if err := r.Start(t.Context()); err == nil {
			t.Error("Start after Stop succeeded")
		}

		r = newRig(t, newFake(), acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context()); err == nil {
			t.Error("the second Start succeeded")
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(r.Stop)
		}
		all.Wait()
		before := len(r.source.calls(acme))
		r.SetEnvironments([]playback.EnvironmentID{acme, globex})
		time.Sleep(time.Hour)
		if after := len(r.source.calls(acme)) + len(r.source.calls(globex)); after != before {
			t.Errorf("%d readings after Stop", after-before)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r = newRig(t, newFake(), acme)
		if err := r.Start(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Start with a cancelled context = %v", err)
		}
		r.Stop()

		// The context of Start does not end the watching.
		ctx, cancel = context.WithCancel(t.Context())
		r = newRig(t, newFake(), acme)
		if err := r.Start(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Minute)
		if n := len(r.source.calls(acme)); n < 4 {
			t.Errorf("%d readings in a minute after the start's context ended", n)
		}
		r.Stop()
	})
}

func TestStopInTheMiddleOfAReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active))
		r := newRig(t, f, acme)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		f.hang = true
		f.mu.Unlock()
		time.Sleep(12*time.Second + time.Millisecond)
		begin := time.Now()
		r.Stop()
		if took := time.Since(begin); took != 0 {
			t.Errorf("Stop waited %v for a hanging source", took)
		}
		r.want(t, "acme=K1", "acme=K1")
		if r.logs.count("cannot be read") != 0 {
			t.Error("stopping was logged as an outage")
		}
	})
}

// metrics returns the value of every series, by name and labels.
func (r *rig) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), label.GetValue()))
			}
			series := family.GetName() + "{" + strings.Join(labels, ",") + "}"
			values[series] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return values
}

func TestRefreshReadsOneEnvironmentNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(acme, keystoretest.Key(t, "K1", 1, keystore.Active))
		r := newRig(t, f, acme, globex)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		f.set(acme, keystoretest.Key(t, "K2", 2, keystore.Active))
		others := len(f.calls(globex))
		r.Refresh(t.Context(), acme)
		r.want(t, "acme=K2 globex=-", "acme=K1 globex=-", "acme=K2 globex=-")
		if n := len(f.calls(globex)); n != others {
			t.Errorf("the other environment was read %d times", n-others)
		}
		read, failing := r.LastRead(acme)
		if failing || !read.Equal(time.Now()) {
			t.Errorf("last read %v, failing %v", read, failing)
		}
		f.fail(errors.New("sealed"))
		r.Refresh(t.Context(), acme)
		if again, failing := r.LastRead(acme); !failing || !again.Equal(read) {
			t.Errorf("last read %v, failing %v, want %v and failing", again, failing, read)
		}
		r.Refresh(t.Context(), "elsewhere")
	})
}
