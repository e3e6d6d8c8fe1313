package signingkey_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

// shared returns the Manager of a process that has a second environment with
// the same access to Mux.
func (r *rig) shared(name string) *signingkey.Manager {
	return signingkey.NewManager(signingkey.Config{
		Keeper: r.keeper, Now: r.clock.Now,
		Settings:     func(playback.EnvironmentID) (signingkey.Settings, bool) { return r.settings, true },
		Environments: func() []playback.EnvironmentID { return []playback.EnvironmentID{env, "globex"} },
		Process:      signingkey.Process{Name: name, Alive: func(pid int) bool { return pid == 1 }},
	})
}

func TestARecoveryLeavesTheKeysOfOtherEnvironments(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		r.interrupted()
		m := r.shared("host/1")
		made, err := m.Create(t.Context(), signingkey.Creation{Environment: "globex"})
		r.check(err)
		r.clock.forward(2 * time.Minute)
		r.check(m.Recover(t.Context(), env))
		r.wantAtMux("ELSEWHERE M1")
		r.check(r.keeper.Delete(t.Context(), "globex", made.ID))
	}
}

func TestARecoveryWaitsForTheCreationOfAnotherEnvironment(t *testing.T) {
	t.Parallel()
	r := newRig(t, "memory")
	r.interrupted()
	m := r.shared("host/1")
	r.mux.fail = func(call string, done bool) error {
		if call == "create" && done {
			wantCode(t, m.Recover(t.Context(), env), playback.CodeKeyBusy)
		}
		return nil
	}
	r.check(second(m.Create(t.Context(), signingkey.Creation{Environment: "globex"})))
	r.clock.forward(time.Minute)
	r.check(m.Recover(t.Context(), env))
	r.wantAtMux("ELSEWHERE M1")
}

func TestOnlyKeysMadeDuringTheOperationAreGuessedToBeItsOwn(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{-6 * time.Second, 51 * time.Second} {
		r := newRig(t, "memory")
		r.interrupted()
		r.mux.add("DASHBOARD", r.clock.Now().Add(apart))
		r.clock.forward(2 * time.Minute)
		r.check(r.Recover(t.Context(), env))
		r.wantAtMux("DASHBOARD ELSEWHERE")
	}
	r := newRig(t, "memory")
	r.interrupted()
	r.mux.add("AGELESS", time.Time{})
	r.clock.forward(2 * time.Minute)
	r.check(r.Recover(t.Context(), env))
	r.wantAtMux("AGELESS ELSEWHERE")
}

func TestARequestThatOutlivesItsProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, "memory")
	r.interrupted()
	wantCode(t, r.Recover(t.Context(), env), playback.CodeKeyBusy)
	r.clock.forward(19 * time.Second)
	wantCode(t, r.Recover(t.Context(), env), playback.CodeKeyBusy)
	r.mux.add("LATE", r.clock.Now().Add(-5*time.Second))
	r.check(r.Recover(t.Context(), env))
	r.wantAtMux("ELSEWHERE")
}

// TestTheLastRequestOfADeadProcessIsWaitedFor: the request for a key may be sent
// long after the operation began, because Mux's pace is waited for.
func TestTheLastRequestOfADeadProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		r.interrupted()
		r.clock.forward(40 * time.Second) // it waits for its turn, sends the request and dies
		wantCode(t, r.Recover(t.Context(), env), playback.CodeKeyBusy)
		r.clock.forward(15 * time.Second)
		r.mux.add("LATE", r.clock.Now().Add(-5*time.Second))
		r.check(r.Recover(t.Context(), env))
		r.wantAtMux("ELSEWHERE")
	}
}

// TestInterruptedOperationsAreTold from those that may be under way.
func TestInterruptedOperationsAreTold(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		now := r.clock.Now()
		for host, want := range map[string]bool{"": false, "host/1": false, "elsewhere/2": false, "host/2": true} {
			entry := keystore.Entry{Operation: "activate", ID: "K", StartedAt: now, Until: now.Add(time.Minute), Host: host}
			if host != "" {
				r.check(r.keeper.OpenJournal(t.Context(), env, entry))
			}
			if got, err := r.Interrupted(t.Context(), env); got != want || err != nil {
				t.Errorf("%q: interrupted %v, %v, want %v", host, got, err, want)
			}
			if host != "" {
				r.check(r.keeper.CloseJournal(t.Context(), env, entry))
			}
		}
	}
}

func TestADeletionThatMuxRefusesChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	r.put("K1", 1, keystore.Life{State: keystore.Retired, RetiredAt: r.clock.Now().Add(-day)})
	r.put("K2", 2, keystore.Life{State: keystore.Active})
	r.put("K3", 3, keystore.Life{State: keystore.Prepared, CreatedAt: r.clock.Now().Add(-day)})
	r.mux.fail = func(call string, _ bool) error {
		if call == "delete" {
			return fmt.Errorf("%w: 403", signingkey.ErrRefused)
		}
		return nil
	}
	wantCode(t, r.Delete(t.Context(), order("K1")), playback.CodeDependencyUnavailable)
	r.want("K1 retired, K2 active, K3 prepared")
	r.check(second(r.Activate(t.Context(), order("K3"))))
	// One that was decided by who is dead now does not block either.
	r.check(r.keeper.OpenJournal(t.Context(), env, keystore.Entry{
		Operation: "delete", ID: "K1", Host: "host/2", By: "ada", Forced: true, Reason: "leaked", StartedAt: r.clock.Now(), Until: r.clock.Now(),
	}))
	r.check(r.Recover(t.Context(), env))
	r.want("K1 retired, K2 retired, K3 active")
	for _, want := range []string{"event=recovered", "by=ada", "forced=true", "reason=leaked"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the record lacks %s:\n%s", want, r.log.String())
		}
	}
}

// lateKeeper fails to say that it stores a key, and does so later.
type lateKeeper struct {
	keystore.Keeper
	key *keystore.NewKey
}

func (k lateKeeper) Create(_ context.Context, _ playback.EnvironmentID, key keystore.NewKey) error {
	*k.key = key
	return context.DeadlineExceeded
}

func TestAKeyThatIsStoredLateIsWhole(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		late := lateKeeper{r.keeper, new(keystore.NewKey)}
		wantCode(t, second(r.process("host/2", late, r.mux).Create(t.Context(), creation())), playback.CodeDependencyUnavailable)
		r.clock.forward(30 * time.Second)
		wantCode(t, r.Recover(t.Context(), env), playback.CodeKeyBusy) // though process 2 is dead
		r.check(r.keeper.Create(t.Context(), env, *late.key))
		r.clock.forward(time.Minute)
		r.check(r.Recover(t.Context(), env))
		r.want("M1 prepared")
		r.wantAtMux("ELSEWHERE M1")
	}
}

// overtakenKeeper lets somebody else recover while a key is being stored.
type overtakenKeeper struct {
	keystore.Keeper
	overtake func()
}

func (k overtakenKeeper) Create(ctx context.Context, e playback.EnvironmentID, key keystore.NewKey) error {
	k.overtake()
	return k.Keeper.Create(ctx, e, key)
}

func TestAKeyWhoseCreationSomebodyHasSettledIsNotKept(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		overtaken := overtakenKeeper{r.keeper, func() {
			r.clock.forward(2 * time.Minute)
			r.check(r.Recover(t.Context(), env))
		}}
		wantCode(t, second(r.process("host/1", overtaken, r.mux).Create(t.Context(), creation())), playback.CodeKeyBusy)
		r.want("")
		r.wantAtMux("ELSEWHERE")
		err := second(r.process("host/1", overtaken, r.mux).Import(t.Context(), signingkey.Import{Environment: env, Key: "I", By: "tester", Material: material(1)}))
		wantCode(t, err, playback.CodeKeyBusy)
		r.want("")
	}
}

func TestTheScheduleDoesNotBeginAgainFromNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, "memory")
	r.settings.RotateEvery = month
	if step := r.NextStep(env, keystore.Keyset{}); step.Blocked != "" || step.Action != signingkey.CreateKey {
		t.Errorf("at first: %+v", step)
	}
	r.put("K1", 1, keystore.Life{State: keystore.Active, ActivatedAt: r.clock.Now()})
	r.check(second(r.Rotate(t.Context(), env)))
	r.check(r.keeper.Delete(t.Context(), env, "K1"))
	step, err := r.Rotate(t.Context(), env)
	if err != nil || step.Action != signingkey.NoAction {
		t.Errorf("Rotate = %+v, %v", step, err)
	}
	r.want("")
}

// spoiledKeeper has an active key that cannot be used.
type spoiledKeeper struct{ keystore.Keeper }

func (k spoiledKeeper) Load(ctx context.Context, e playback.EnvironmentID) ([]keystore.Record, []keystore.Problem, error) {
	records, problems, err := k.Keeper.Load(ctx, e)
	spoiled := keystore.Refuse("BAD", "BAD", errors.New("is broken"))
	spoiled.State = keystore.Active
	return append(records, spoiled), problems, err
}

func TestNoForceDeletesAnUnusableKeyThatIsActive(t *testing.T) {
	t.Parallel()
	r := newRig(t, "memory")
	o := order("BAD")
	o.Force, o.Reason = true, "broken"
	wantCode(t, r.process("host/1", spoiledKeeper{r.keeper}, r.mux).Delete(t.Context(), o), playback.CodeKeyActive)
}

func TestADeletionThatLeavesTheKeyAtMuxIsOnRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t, "memory")
	r.put("K1", 1, keystore.Life{State: keystore.Prepared})
	r.settings.Mux = nil
	r.check(r.Delete(t.Context(), order("K1")))
	if !strings.Contains(r.log.String(), "not deleted at Mux: there is no mux.token_id") {
		t.Errorf("the record says\n%s", r.log.String())
	}
}
