package signingkey_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

// material returns test key n as Mux hands it out.
func material(n int) playback.Secret {
	return playback.NewSecret(string(keystoretest.Base64(new(testing.T), n)))
}

func TestAKeyFromItsCreationToItsDeletion(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		now := r.clock.Now()
		r.put("OLD", 1, keystore.Life{State: keystore.Active, CreatedAt: now.Add(-time.Hour), ActivatedAt: now.Add(-time.Hour)})

		made, err := r.Create(t.Context(), creation())
		if err != nil || made.ID != "M1" || made.State != keystore.Prepared || made.PrivateKey != material(2) {
			t.Fatalf("Create = %+v, %v", made.Status, err)
		}
		r.want("M1 prepared, OLD active")

		r.clock.forward(100 * time.Millisecond)
		refused := refusal(t, second(r.Activate(t.Context(), order("M1"))), playback.CodeKeyNotReady)
		if want := 5*time.Minute - 100*time.Millisecond; refused.RetryAfter != want {
			t.Errorf("Retry-After %v, want %v", refused.RetryAfter, want)
		}
		wantCode(t, r.Delete(t.Context(), order("OLD")), playback.CodeKeyActive)
		wantCode(t, second(r.Retire(t.Context(), order("OLD"))), playback.CodeKeyActive)
		wantCode(t, second(r.Activate(t.Context(), order("NONE"))), playback.CodeNotFound)

		r.clock.forward(5*time.Minute - 100*time.Millisecond)
		active, err := r.Activate(t.Context(), order("M1"))
		if err != nil || active.State != keystore.Active || !active.ActivatedAt.Equal(r.clock.Now()) {
			t.Fatalf("Activate = %+v, %v", active, err)
		}
		r.want("M1 active, OLD retired")
		wantCode(t, second(r.Activate(t.Context(), order("OLD"))), playback.CodeKeyState)

		refused = refusal(t, r.Delete(t.Context(), order("OLD")), playback.CodeKeyInUse)
		if want := r.clock.Now().Add(time.Hour); !refused.DeletableAt.Equal(want) {
			t.Errorf("deletable at %v, want %v", refused.DeletableAt, want)
		}
		r.clock.forward(time.Hour)
		r.check(r.Delete(t.Context(), order("OLD")))
		r.want("M1 active")
		r.wantAtMux("ELSEWHERE M1")
		wantCode(t, r.Delete(t.Context(), order("OLD")), playback.CodeNotFound)

		if n := r.changes.Load(); n != 3 {
			t.Errorf("told of %d changes, want 3", n)
		}
		log := r.log.String()
		for _, event := range []string{"created", "activated", "retired", "deleted"} {
			if n := strings.Count(log, "audit=true event="+event+" environment=acme "); n != 1 {
				t.Errorf("%d records of %s, want one", n, event)
			}
		}
		if strings.Contains(log, made.PrivateKey.Reveal()[:40]) || strings.Contains(log, "PRIVATE KEY") {
			t.Error("key material is on record")
		}
	}
}

func TestWhenAKeyMayBeActivatedSooner(t *testing.T) {
	t.Parallel()
	t.Run("nothing is active", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "file")
		r.put("K1", 1, keystore.Life{State: keystore.Prepared, CreatedAt: r.clock.Now()})
		r.check(second(r.Activate(t.Context(), order("K1"))))
		r.want("K1 active")
	})
	t.Run("by force, with a reason", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "file")
		r.put("K1", 1, keystore.Life{State: keystore.Active})
		r.put("K2", 2, keystore.Life{State: keystore.Prepared, CreatedAt: r.clock.Now()})
		o := order("K2")
		o.Force = true
		wantCode(t, second(r.Activate(t.Context(), o)), playback.CodeInvalidField)
		o.Reason = "K1 leaked"
		r.check(second(r.Activate(t.Context(), o)))
		r.want("K1 retired, K2 active")
		if log := r.log.String(); !strings.Contains(log, `forced=true reason="K1 leaked"`) {
			t.Errorf("the reason is not on record:\n%s", log)
		}
	})
	t.Run("it is active already", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, "file")
		at := r.clock.Now().Add(-time.Hour)
		r.put("K1", 1, keystore.Life{State: keystore.Active, ActivatedAt: at})
		status, err := r.Activate(t.Context(), order("K1"))
		if err != nil || !status.ActivatedAt.Equal(at) {
			t.Errorf("Activate = %+v, %v", status, err)
		}
	})
}

func TestOfTwoActiveKeysTheOlderIsRetired(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	now := r.clock.Now()
	r.put("K1", 1, keystore.Life{State: keystore.Active, ActivatedAt: now.Add(-time.Hour)})
	r.put("K2", 2, keystore.Life{State: keystore.Active, ActivatedAt: now.Add(-time.Minute)})
	wantCode(t, second(r.Activate(t.Context(), order("K1"))), playback.CodeKeyState) // it counts as retired
	r.check(second(r.Activate(t.Context(), order("K2"))))
	r.want("K1 retired, K2 active")
}

func TestAClockThatIsBehindStillActivatesLater(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	before := r.clock.Now().Add(time.Minute)
	r.put("K1", 1, keystore.Life{State: keystore.Active, ActivatedAt: before})
	r.put("K2", 2, keystore.Life{State: keystore.Prepared})
	if status, err := r.Activate(t.Context(), order("K2")); err != nil || !status.ActivatedAt.After(before) {
		t.Errorf("activated at %v, %v, want after %v", status.ActivatedAt, err, before)
	}
}

func TestWhenARetiredKeyMayBeDeleted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		external, complete bool
		last               time.Duration // after its retirement, what was handed out; 0: nothing known
		want               time.Duration // after its retirement
	}{
		"nothing is known: max_ttl":                        {want: time.Hour},
		"less is known: max_ttl":                           {last: time.Minute, want: time.Hour},
		"more is known: that":                              {last: 2 * time.Hour, want: 2 * time.Hour},
		"all is known: that":                               {last: time.Minute, complete: true, want: time.Minute},
		"all is known, and ended before its retirement":    {last: -time.Minute, complete: true, want: 0},
		"all is known, and it is nothing":                  {complete: true, want: 0},
		"others have it: external_max_ttl":                 {external: true, want: 24 * time.Hour},
		"others have it, whatever is known of our own":     {external: true, complete: true, last: time.Minute, want: 24 * time.Hour},
		"others have it, and ours ends later than theirs ": {external: true, last: 25 * time.Hour, want: 25 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "file")
			retired := r.clock.Now().Add(-time.Second)
			r.put("K1", 1, keystore.Life{State: keystore.Retired, RetiredAt: retired, External: c.external})
			r.put("K2", 2, keystore.Life{State: keystore.Active})
			r.ledger.complete = c.complete
			if c.last != 0 {
				r.ledger.last = map[playback.KeyID]time.Time{"K1": retired.Add(c.last)}
			}
			status, err := r.Get(t.Context(), env, "K1")
			if err != nil || !status.DeletableAt.Equal(retired.Add(c.want)) || !status.LastExpiry.Equal(r.ledger.last["K1"]) {
				t.Fatalf("Get = %+v, %v, want deletable at %v", status, err, retired.Add(c.want))
			}
			if c.want > time.Second {
				r.clock.forward(c.want - 3*time.Second) // it is retired for one already
				wantCode(t, r.Delete(t.Context(), order("K1")), playback.CodeKeyInUse)
				r.clock.forward(time.Second)
				wantCode(t, r.Delete(t.Context(), order("K1")), playback.CodeKeyInUse)
				r.clock.forward(time.Second)
			}
			r.check(r.Delete(t.Context(), order("K1")))
		})
	}
}

func TestDeletingByForce(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	r.put("K1", 1, keystore.Life{State: keystore.Retired, RetiredAt: r.clock.Now()})
	r.put("K2", 2, keystore.Life{State: keystore.Active})
	r.put("K3", 3, keystore.Life{State: keystore.Retired})
	refused := refusal(t, r.Delete(t.Context(), order("K3")), playback.CodeKeyInUse)
	if !refused.DeletableAt.IsZero() {
		t.Errorf("deletable at %v, though nobody knows", refused.DeletableAt)
	}
	for _, id := range []playback.KeyID{"K1", "K2", "K3"} {
		o := order(id)
		o.Force, o.Reason = true, "leaked"
		err := r.Delete(t.Context(), o)
		if id == "K2" {
			wantCode(t, err, playback.CodeKeyActive)
			continue
		}
		r.check(err)
	}
	r.want("K2 active")
	r.wantAtMux("ELSEWHERE K2")
}

func TestAPreparedKeyCanGoAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	made, err := r.Create(t.Context(), creation())
	r.check(err)
	r.check(r.Delete(t.Context(), order(made.ID)))
	r.want("")
	r.wantAtMux("ELSEWHERE")
}

func TestARetirementThatNobodyNotedCountsFromNow(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	r.put("K1", 1, keystore.Life{State: keystore.Retired})
	r.put("K2", 2, keystore.Life{State: keystore.Prepared})
	status, err := r.Retire(t.Context(), order("K1"))
	if err != nil || !status.DeletableAt.Equal(r.clock.Now().Add(time.Hour)) {
		t.Errorf("Retire = %+v, %v", status, err)
	}
	r.check(second(r.Retire(t.Context(), order("K2"))))
	r.want("K1 retired, K2 retired")
}

func TestALocalKeyNeedsNoMux(t *testing.T) {
	t.Parallel()
	r := newRig(t, "memory")
	r.settings.Mux = nil
	wantCode(t, second(r.Create(t.Context(), creation())), playback.CodeKeyState)
	c := creation()
	c.Local = true
	r.clock.forward(300 * time.Millisecond)
	made, err := r.Create(t.Context(), c)
	r.check(err)
	private, _, err := keystore.Parse([]byte(made.PrivateKey.Reveal()))
	if err != nil || private.N.BitLen() < keystore.MinBits {
		t.Errorf("made %v, %v", made.Status, err)
	}
	// A waiting time must not begin before the key was there.
	if late := made.CreatedAt.Sub(r.clock.Now()); late < 0 || late >= time.Second {
		t.Errorf("created at %v", made.CreatedAt)
	}
}

func TestImportTakesWhatParseTakesAndNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	take := func(id playback.KeyID, text []byte) (signingkey.Imported, error) {
		return r.Import(t.Context(), signingkey.Import{Environment: env, Key: id, By: "tester", Material: playback.NewSecret(string(text))})
	}
	for id, text := range map[playback.KeyID][]byte{"K1": keystoretest.PEM(t, 1), "K2": keystoretest.Base64(t, 2), "K3": keystoretest.PKCS8(t, 3)} {
		imported, err := take(id, text)
		if err != nil || imported.State != keystore.Prepared || !imported.External || imported.ID != id || len(imported.Repairs) > 0 {
			t.Errorf("Import = %+v, %v", imported, err)
		}
	}
	r.want("K1 prepared, K2 prepared, K3 prepared")
	r.wantAtMux("ELSEWHERE")
	for name, c := range map[string]struct {
		id   playback.KeyID
		text string
	}{
		"an empty ID": {"", string(keystoretest.PEM(t, 4))},
		"a path":      {"../K4", string(keystoretest.PEM(t, 4))},
		"nothing":     {"K4", ""},
		"no key":      {"K4", "hello"},
	} {
		if err := second(take(c.id, []byte(c.text))); err == nil {
			t.Errorf("%s was imported", name)
		} else {
			wantCode(t, err, playback.CodeInvalidField)
		}
	}
	wantCode(t, second(take("K1", keystoretest.PEM(t, 4))), playback.CodeKeyState)
}

func TestAnotherEnvironmentDoesNotExist(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	other := order("K1")
	other.Environment = "globex"
	for name, err := range map[string]error{
		"List":     second(r.List(t.Context(), "globex")),
		"Create":   second(r.Create(t.Context(), signingkey.Creation{Environment: "globex"})),
		"Import":   second(r.Import(t.Context(), signingkey.Import{Environment: "globex", Key: "K1", Material: material(1)})),
		"Activate": second(r.Activate(t.Context(), other)),
		"Retire":   second(r.Retire(t.Context(), other)),
		"Delete":   r.Delete(t.Context(), other),
	} {
		if !errors.Is(err, playback.CodeNotFound) {
			t.Errorf("%s = %v", name, err)
		}
	}
}

func TestMuxsRefusalLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t, "file")
	r.mux.fail = func(call string, _ bool) error {
		if call == "create" {
			return errors.New("429 from Mux")
		}
		return nil
	}
	wantCode(t, second(r.Create(t.Context(), creation())), playback.CodeDependencyUnavailable)
	r.mux.fail = nil
	r.check(second(r.Create(t.Context(), creation()))) // it does not have to wait
}

// TestAKeyThatCannotBeStoredIsDeletedAtMux covers a store that does not say what
// it has done, so that the key is deleted when it must have.
func TestAKeyThatCannotBeStoredIsDeletedAtMux(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		err := second(r.process("host/1", fullKeeper{r.keeper}, r.mux).Create(t.Context(), creation()))
		wantCode(t, err, playback.CodeDependencyUnavailable)
		wantCode(t, r.process("host/3", r.keeper, r.mux).Recover(t.Context(), env), playback.CodeKeyBusy)
		r.clock.forward(time.Minute + time.Second)
		r.check(r.Recover(t.Context(), env))
		r.want("")
		r.wantAtMux("ELSEWHERE")
		if _, open, err := r.keeper.Journal(t.Context(), env); open || err != nil {
			t.Errorf("the journal is open: %v, %v", open, err)
		}
	}
}

// withdrawnKeeper has withdrawn a key, as Vault does when an entry is deleted.
type withdrawnKeeper struct {
	keystore.Keeper
	since   time.Time
	deleted bool
}

func (k *withdrawnKeeper) Withdrawn(_ context.Context, _ playback.EnvironmentID, id playback.KeyID) (time.Time, bool, error) {
	return k.since, id == "GONE" && !k.deleted, nil
}

func (k *withdrawnKeeper) Delete(ctx context.Context, e playback.EnvironmentID, id playback.KeyID) error {
	k.deleted = k.deleted || id == "GONE"
	return k.Keeper.Delete(ctx, e, id)
}

// TestAWithdrawnKeyCanBeDeleted: at Mux it is, and until then its tokens are
// valid there.
func TestAWithdrawnKeyCanBeDeleted(t *testing.T) {
	t.Parallel()
	for _, force := range []bool{false, true} {
		r := newRig(t, "file")
		r.put("K1", 1, keystore.Life{State: keystore.Active})
		r.mux.add("GONE", r.clock.Now())
		m := r.process("host/1", &withdrawnKeeper{Keeper: r.keeper, since: r.clock.Now()}, r.mux)
		o := order("GONE")
		if force {
			o.Force, o.Reason = true, "leaked"
		} else {
			refused := refusal(t, m.Delete(t.Context(), o), playback.CodeKeyInUse)
			if want := r.clock.Now().Add(24 * time.Hour); !refused.DeletableAt.Equal(want) {
				t.Errorf("deletable at %v, want %v", refused.DeletableAt, want)
			}
			r.clock.forward(24 * time.Hour)
		}
		r.check(m.Delete(t.Context(), o))
		r.wantAtMux("ELSEWHERE K1")
		wantCode(t, m.Delete(t.Context(), o), playback.CodeNotFound)
	}
}

// fullKeeper takes no keys.
type fullKeeper struct{ keystore.Keeper }

func (fullKeeper) Create(context.Context, playback.EnvironmentID, keystore.NewKey) error {
	return errors.New("no space left on device")
}

func TestOneOperationAtATime(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		other := r.process("elsewhere/3", r.keeper, r.mux)
		r.mux.fail = func(call string, done bool) error {
			if call == "create" && !done {
				refused := refusal(t, second(other.Import(t.Context(), signingkey.Import{Environment: env, Key: "I", Material: material(3)})), playback.CodeKeyBusy)
				if !strings.Contains(refused.Message, "create") || refused.RetryAfter <= 0 {
					t.Errorf("refused with %q after %v", refused.Message, refused.RetryAfter)
				}
			}
			return nil
		}
		r.check(second(r.Create(t.Context(), creation())))
		r.wantAtMux("ELSEWHERE M1")
	}
}
