package signingkey_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

// errDead is what everything answers to a process that has died.
var errDead = errors.New("the process is dead")

// death lets a process make some steps that another process could see, and then
// none any more.
type death struct {
	after int  // the steps that it makes
	late  bool // dies after the next step instead of before it
	steps int
	dead  bool
}

// step takes a step, if the process lives.
func (d *death) step(do func() error) error {
	if d.dead {
		return errDead
	}
	d.steps++
	if d.steps <= d.after {
		return do()
	}
	d.dead = true
	if d.late {
		_ = do()
	}
	return errDead
}

// mortalKeeper is a Keeper in the hands of a process that dies.
type mortalKeeper struct {
	keystore.Keeper
	*death
}

func (k mortalKeeper) Load(ctx context.Context, e playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	if k.dead {
		return nil, nil, errDead
	}
	return k.Keeper.Load(ctx, e)
}

func (k mortalKeeper) Journal(ctx context.Context, e playback.EnvironmentID) (keystore.Entry, bool, error) {
	if k.dead {
		return keystore.Entry{}, false, errDead
	}
	return k.Keeper.Journal(ctx, e)
}

func (k mortalKeeper) Create(ctx context.Context, e playback.EnvironmentID, key keystore.NewKey) error {
	return k.step(func() error { return k.Keeper.Create(ctx, e, key) })
}

func (k mortalKeeper) Change(ctx context.Context, e playback.EnvironmentID, id playback.KeyID, f func(keystore.Life) (keystore.Life, error)) error {
	return k.step(func() error { return k.Keeper.Change(ctx, e, id, f) })
}

func (k mortalKeeper) Delete(ctx context.Context, e playback.EnvironmentID, id playback.KeyID) error {
	return k.step(func() error { return k.Keeper.Delete(ctx, e, id) })
}

func (k mortalKeeper) OpenJournal(ctx context.Context, e playback.EnvironmentID, entry keystore.Entry) error {
	return k.step(func() error { return k.Keeper.OpenJournal(ctx, e, entry) })
}

func (k mortalKeeper) ReplaceJournal(ctx context.Context, e playback.EnvironmentID, from, to keystore.Entry) error {
	return k.step(func() error { return k.Keeper.ReplaceJournal(ctx, e, from, to) })
}

func (k mortalKeeper) CloseJournal(ctx context.Context, e playback.EnvironmentID, entry keystore.Entry) error {
	return k.step(func() error { return k.Keeper.CloseJournal(ctx, e, entry) })
}

// mortalMux is Mux in the hands of a process that dies.
type mortalMux struct {
	signingkey.Mux
	*death
}

func (m mortalMux) Create(ctx context.Context) (key signingkey.MuxKey, err error) {
	err = m.step(func() error { key, err = m.Mux.Create(ctx); return err })
	return key, err
}

func (m mortalMux) List(ctx context.Context) ([]signingkey.MuxKey, error) {
	if m.dead {
		return nil, errDead
	}
	return m.Mux.List(ctx)
}

func (m mortalMux) Delete(ctx context.Context, id playback.KeyID) error {
	return m.step(func() error { return m.Mux.Delete(ctx, id) })
}

// mortal returns the Manager of a process that will die.
func (r *rig) mortal(name string, d *death) *signingkey.Manager {
	return r.process(name, mortalKeeper{r.keeper, d}, mortalMux{r.mux, d})
}

// deaths are all ways to die in the middle of an operation, which says after
// how many steps it was over.
func deaths(t *testing.T, try func(d *death) (over bool)) {
	t.Helper()
	for _, late := range []bool{false, true} {
		for n := 0; ; n++ {
			if try(&death{after: n, late: late}) {
				if n < 3 {
					t.Errorf("the operation has only %d steps", n)
				}
				break
			}
			if n > 50 {
				t.Fatal("the operation has no end")
			}
		}
	}
}

// crash is an operation that is interrupted after each of its steps, and what
// must be so after another process has recovered.
type crash struct {
	before func(*rig)
	do     func(context.Context, *signingkey.Manager) error
	// states and mux are what may be in the store and at Mux, one or the other.
	outcomes []outcome
}

type outcome struct{ states, mux string }

func crashes() map[string]crash {
	now := time.Unix(1795425054, 0).UTC()
	return map[string]crash{
		"a creation leaves a key that is whole, or none": {
			before: func(r *rig) { r.put("K1", 1, keystore.Life{State: keystore.Active, CreatedAt: now, ActivatedAt: now}) },
			do: func(ctx context.Context, m *signingkey.Manager) error {
				return second(m.Create(ctx, creation()))
			},
			outcomes: []outcome{{"K1 active", "ELSEWHERE K1"}, {"K1 active, M1 prepared", "ELSEWHERE K1 M1"}},
		},
		"an import leaves a key that is whole, or none": {
			before: func(*rig) {},
			do: func(ctx context.Context, m *signingkey.Manager) error {
				return second(m.Import(ctx, signingkey.Import{Environment: env, Key: "I", By: "tester", Material: material(1)}))
			},
			outcomes: []outcome{{"", "ELSEWHERE"}, {"I prepared", "ELSEWHERE"}},
		},
		"an activation leaves one active key": {
			before: func(r *rig) {
				r.put("K1", 1, keystore.Life{State: keystore.Active, CreatedAt: now, ActivatedAt: now})
				r.put("K2", 2, keystore.Life{State: keystore.Prepared})
			},
			do:       func(ctx context.Context, m *signingkey.Manager) error { return second(m.Activate(ctx, order("K2"))) },
			outcomes: []outcome{{"K1 active, K2 prepared", "ELSEWHERE K1 K2"}, {"K1 retired, K2 active", "ELSEWHERE K1 K2"}},
		},
		"a deletion is done at Mux and in the store, or not at all": {
			before: func(r *rig) {
				r.put("K1", 1, keystore.Life{State: keystore.Retired, RetiredAt: now.Add(-2 * time.Hour)})
				r.put("K2", 2, keystore.Life{State: keystore.Active, CreatedAt: now, ActivatedAt: now})
			},
			do:       func(ctx context.Context, m *signingkey.Manager) error { return m.Delete(ctx, order("K1")) },
			outcomes: []outcome{{"K1 retired, K2 active", "ELSEWHERE K1 K2"}, {"K2 active", "ELSEWHERE K2"}},
		},
	}
}

// TestACrashAtAnyStepIsMadeGood kills a process at each step of each operation,
// and the one that recovers at each step of that.
func TestACrashAtAnyStepIsMadeGood(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		for name, c := range crashes() {
			t.Run(store+", "+name, func(t *testing.T) {
				t.Parallel()
				keeper := newKeeper(t, store)
				deaths(t, func(first *death) bool {
					over := false
					for n := 0; !over; n++ {
						var second *death
						if n > 0 {
							second = &death{after: n - 1, late: first.late}
						}
						r := newRigOn(t, keeper)
						c.before(r)
						d := *first
						err := c.do(t.Context(), r.mortal("host/2", &d))
						if !d.dead {
							r.check(err)
							return true
						}
						over = c.recover(r, fmt.Sprintf("step %d, late %v", first.after, first.late), second)
						if n > 50 {
							t.Fatal("the recovery has no end")
						}
					}
					return false
				})
			})
		}
	}
}

// recover lets a process recover that dies as well, and then one that lives. It
// says whether the first was done before it died.
func (c crash) recover(r *rig, where string, d *death) (over bool) {
	r.Helper()
	if d != nil {
		where += fmt.Sprintf("; again after step %d", d.after)
		r.clock.forward(time.Second)
		_ = r.mortal("host/3", d).Recover(r.Context(), env)
		over = !d.dead
	}
	r.clock.forward(time.Second) // nobody waits for whom everybody knows to be dead
	if err := r.Recover(r.Context(), env); err != nil {
		r.Fatalf("%s: Recover = %v", where, err)
	}
	if _, open, err := r.keeper.Journal(r.Context(), env); open || err != nil {
		r.Errorf("%s: the journal is still open: %v, %v", where, open, err)
	}
	got := outcome{r.states(), r.mux.ids()}
	if !slices.Contains(c.outcomes, got) {
		r.Errorf("%s: %+v, want one of %+v", where, got, c.outcomes)
	}
	return over
}

func TestACrashBeforeTheDecisionDeletesNothing(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		r.put("K1", 1, keystore.Life{State: keystore.Retired, RetiredAt: r.clock.Now()})
		d := &death{after: 1}
		_ = r.mortal("host/2", d).Delete(t.Context(), order("K1")) // which is in use
		r.check(r.Recover(t.Context(), env))
		r.want("K1 retired")
		r.wantAtMux("ELSEWHERE K1")
	}
}

func TestALostAnswerOfMuxIsSettledLater(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		r.mux.fail = func(call string, done bool) error {
			if call == "create" && done {
				return fmt.Errorf("reading the answer: %w", signingkey.ErrUnknownOutcome)
			}
			return nil
		}
		wantCode(t, second(r.Create(t.Context(), creation())), playback.CodeDependencyUnavailable)
		r.wantAtMux("ELSEWHERE M1")
		// It may still be on its way, so that nobody may look yet.
		wantCode(t, r.Recover(t.Context(), env), playback.CodeKeyBusy)
		wantCode(t, second(r.Create(t.Context(), creation())), playback.CodeKeyBusy)
		r.clock.forward(2 * time.Minute)
		r.mux.fail = nil
		r.check(second(r.Create(t.Context(), creation())))
		r.want("M2 prepared")
		r.wantAtMux("ELSEWHERE M2")
		if !strings.Contains(r.log.String(), "event=recovered") {
			t.Errorf("the recovery is not on record:\n%s", r.log.String())
		}
	}
}

// interrupted is the journal of a creation that process 2 began now.
func (r *rig) interrupted() {
	r.Helper()
	now := r.clock.Now()
	r.check(r.keeper.OpenJournal(r.Context(), env, keystore.Entry{
		Operation: "create", StartedAt: now, Until: now.Add(time.Minute), Known: []playback.KeyID{"ELSEWHERE"}, Host: "host/2",
	}))
}

func TestARecoveryThatCannotTellKeysApartDeletesNone(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		r.interrupted()
		r.mux.add("A", r.clock.Now())
		r.mux.add("B", r.clock.Now())
		refused := refusal(t, r.Recover(t.Context(), env), playback.CodeKeyBusy)
		if !strings.Contains(refused.Message, "A, B") {
			t.Errorf("message %q, want one that names A and B", refused.Message)
		}
		r.wantAtMux("A B ELSEWHERE")
		r.check(r.mux.Delete(t.Context(), "B")) // the operator has read it
		r.check(r.Recover(t.Context(), env))
		r.wantAtMux("ELSEWHERE")
	}
}

func TestKeysMadeBeforeOrAfterTheCrashAreNotTouched(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		r.interrupted()
		r.mux.add("EARLIER", r.clock.Now().Add(-time.Hour)) // and yet not known
		r.clock.forward(time.Hour)
		r.mux.add("LATER", r.clock.Now())
		r.check(r.Recover(t.Context(), env))
		r.wantAtMux("EARLIER ELSEWHERE LATER")
	}
}

func TestAProcessThatMayLiveIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"host/1", "other/2", "no-number", "host/0", "host/x", "/2"} {
		r := newRig(t, "file")
		now := r.clock.Now()
		r.check(r.keeper.OpenJournal(t.Context(), env, keystore.Entry{Operation: "activate", ID: "K", StartedAt: now, Until: now.Add(time.Minute), Host: host}))
		refused := refusal(t, r.Recover(t.Context(), env), playback.CodeKeyBusy)
		if !strings.Contains(refused.Message, "activate") || !strings.Contains(refused.Message, host) || refused.RetryAfter <= 0 {
			t.Errorf("%s: refused with %q after %v", host, refused.Message, refused.RetryAfter)
		}
		r.clock.forward(time.Minute + time.Minute + time.Second) // and the clocks' difference
		r.check(r.Recover(t.Context(), env))
	}
}

func TestOneOfManyRecovers(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		r.interrupted()
		r.mux.add("ORPHAN", r.clock.Now())
		results := make(chan error)
		for n := range 8 {
			go func() { results <- r.process(fmt.Sprintf("host/1%d", n), r.keeper, r.mux).Recover(t.Context(), env) }()
		}
		for range 8 {
			if err := <-results; err != nil && !errors.Is(err, playback.CodeKeyBusy) {
				t.Error(err)
			}
		}
		r.check(r.Recover(t.Context(), env))
		r.wantAtMux("ELSEWHERE")
	}
}
