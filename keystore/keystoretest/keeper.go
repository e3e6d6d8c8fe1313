package keystoretest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// KeeperFactory returns two keepers on one empty store, as two processes would
// have them; the same one twice where only one process can. It closes them when
// the test ends.
type KeeperFactory func(t *testing.T) (a, b keystore.Keeper)

// RunKeeper checks that a driver does what keystore.Keeper promises.
func RunKeeper(t *testing.T, factory KeeperFactory) {
	t.Helper()
	for name, check := range map[string]func(*keeping){
		"a key that is created is there, as it was given":      created,
		"an ID is given once":                                  createdOnce,
		"what is no key is not stored":                         refused,
		"a key lives through its states":                       lived,
		"changes at the same time are all made":                changedTogether,
		"a change that fails changes nothing":                  changedNothing,
		"a deleted key is gone for good":                       deleted,
		"one operation at a time":                              journalled,
		"one of many opens the journal, and one takes it over": journalRaced,
		"environments do not see each other":                   walled,
		"an ended context changes nothing":                     cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &keeping{T: t}
			k.a, k.b = factory(t)
			check(k)
		})
	}
}

// keeping is one case being run.
type keeping struct {
	*testing.T
	a, b keystore.Keeper
}

func (k *keeping) check(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *keeping) wantError(got, want error) {
	k.Helper()
	if !errors.Is(got, want) {
		k.Errorf("error %v, want %v", got, want)
	}
}

// born is when the keys of the suite are made.
func born() time.Time { return time.Unix(1795425054, 0).UTC() }

func newKey(t testing.TB, id playback.KeyID, n int) keystore.NewKey {
	t.Helper()
	return keystore.NewKey{ID: id, PEM: Base64(t, n), Life: keystore.Life{State: keystore.Prepared, CreatedAt: born()}}
}

// lives returns the life of every key as the other process sees it, but for
// keys that the driver makes by itself.
func (k *keeping) lives(env playback.EnvironmentID) map[playback.KeyID]keystore.Life {
	k.Helper()
	records, problems, err := k.b.Load(k.Context(), env)
	k.check(err)
	for _, p := range problems {
		if !p.Warning && !strings.Contains(p.Reason, "no key") {
			k.Errorf("problem: %v", p)
		}
	}
	lives := map[playback.KeyID]keystore.Life{}
	for _, r := range records {
		if r.Refused != nil {
			k.Errorf("%s was refused: %v", r.ID, r.Refused)
		}
		if strings.HasPrefix(string(r.ID), "K") {
			lives[r.ID] = r.Life()
		}
	}
	return lives
}

func (k *keeping) wantLives(env playback.EnvironmentID, want map[playback.KeyID]keystore.Life) {
	k.Helper()
	if diff := cmp.Diff(want, k.lives(env)); diff != "" {
		k.Error(diff)
	}
}

func created(k *keeping) {
	full := newKey(k, "K1", 1)
	full.Life = keystore.Life{
		State: keystore.Retired, CreatedAt: born(), ActivatedAt: born().Add(time.Minute), RetiredAt: born().Add(time.Hour), External: true,
	}
	k.check(k.a.Create(k.Context(), env, full))
	k.check(k.a.Create(k.Context(), env, keystore.NewKey{ID: "K-2_x", PEM: PKCS8(k, 2), Life: keystore.Life{State: keystore.Prepared}}))
	k.wantLives(env, map[playback.KeyID]keystore.Life{"K1": full.Life, "K-2_x": {State: keystore.Prepared}})
	records, _, err := k.b.Load(k.Context(), env)
	k.check(err)
	for _, r := range records {
		if r.ID == "K1" && r.Thumbprint != Thumbprint(k, 1) {
			k.Error("another key came back")
		}
	}
}

func createdOnce(k *keeping) {
	const many = 8
	var wins atomic.Int64
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			keeper := k.a
			if i%2 == 1 {
				keeper = k.b
			}
			key := newKey(k, "K1", 1+i%2)
			key.Life.CreatedAt = born().Add(time.Duration(i) * time.Second)
			switch err := keeper.Create(k.Context(), env, key); {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, keystore.ErrExists):
				k.Errorf("Create = %v, want ErrExists", err)
			}
		})
	}
	all.Wait()
	before := k.lives(env)
	if wins.Load() != 1 || len(before) != 1 {
		k.Fatalf("%d creations succeeded, and there are %v", wins.Load(), before)
	}
	k.wantError(k.a.Create(k.Context(), env, newKey(k, "K1", 3)), keystore.ErrExists)
	k.wantLives(env, before)
}

func refused(k *keeping) {
	for name, key := range map[string]keystore.NewKey{
		"no ID":        {PEM: PEM(k, 1), Life: keystore.Life{State: keystore.Prepared}},
		"a path":       {ID: "../K1", PEM: PEM(k, 1), Life: keystore.Life{State: keystore.Prepared}},
		"no key":       {ID: "K1", PEM: []byte("K"), Life: keystore.Life{State: keystore.Prepared}},
		"no state":     {ID: "K1", PEM: PEM(k, 1)},
		"another life": {ID: "K1", PEM: PEM(k, 1), Life: keystore.Life{State: "sleeping"}},
	} {
		if err := k.a.Create(k.Context(), env, key); err == nil {
			k.Errorf("%s: stored", name)
		}
	}
	if err := k.a.Create(k.Context(), "../acme", newKey(k, "K1", 1)); err == nil {
		k.Error("stored in an environment that is none")
	}
	k.wantLives(env, map[playback.KeyID]keystore.Life{})
}

func lived(k *keeping) {
	k.check(k.a.Create(k.Context(), env, newKey(k, "K1", 1)))
	life := keystore.Life{State: keystore.Prepared, CreatedAt: born()}
	for _, step := range []func(keystore.Life) (keystore.Life, error){
		func(l keystore.Life) (keystore.Life, error) { return l.Activate(born().Add(time.Minute)) },
		func(l keystore.Life) (keystore.Life, error) { return l.Retire(born().Add(time.Hour)) },
		func(l keystore.Life) (keystore.Life, error) { l.External = true; return l, nil },
		func(l keystore.Life) (keystore.Life, error) {
			l.External, l.RetiredAt = false, time.Time{}
			return l, nil
		},
	} {
		var err error
		life, err = step(life)
		k.check(err)
		k.check(k.a.Change(k.Context(), env, "K1", step))
		k.wantLives(env, map[playback.KeyID]keystore.Life{"K1": life})
	}
	k.wantError(k.a.Change(k.Context(), env, "K2", keep), keystore.ErrNoKey)
	k.wantError(k.a.Change(k.Context(), env, "../acme/K1", keep), keystore.ErrNoKey)
}

func keep(l keystore.Life) (keystore.Life, error) { return l, nil }

// changedTogether counts in created_at: a change that is lost is missing.
func changedTogether(k *keeping) {
	k.check(k.a.Create(k.Context(), env, newKey(k, "K1", 1)))
	const many = 6
	var done atomic.Int64
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			keeper := k.a
			if i%2 == 1 {
				keeper = k.b
			}
			err := keeper.Change(k.Context(), env, "K1", func(l keystore.Life) (keystore.Life, error) {
				l.CreatedAt = l.CreatedAt.Add(time.Second)
				return l, nil
			})
			switch {
			case err == nil:
				done.Add(1)
			case !errors.Is(err, keystore.ErrChanged):
				k.Error(err)
			}
		})
	}
	all.Wait()
	if got := k.lives(env)["K1"].CreatedAt.Sub(born()); got != time.Duration(done.Load())*time.Second || got == 0 {
		k.Errorf("%d changes were made, and %v of them are seen", done.Load(), got)
	}
}

func changedNothing(k *keeping) {
	k.check(k.a.Create(k.Context(), env, newKey(k, "K1", 1)))
	failure := errors.New("no")
	k.wantError(k.a.Change(k.Context(), env, "K1", func(keystore.Life) (keystore.Life, error) { return keystore.Life{}, failure }), failure)
	k.wantLives(env, map[playback.KeyID]keystore.Life{"K1": {State: keystore.Prepared, CreatedAt: born()}})
}

func deleted(k *keeping) {
	k.check(k.a.Create(k.Context(), env, newKey(k, "K1", 1)))
	k.check(k.a.Create(k.Context(), env, newKey(k, "K2", 2)))
	k.lives(env)
	k.check(k.a.Delete(k.Context(), env, "K1"))
	k.wantLives(env, map[playback.KeyID]keystore.Life{"K2": {State: keystore.Prepared, CreatedAt: born()}})
	for _, id := range []playback.KeyID{"K1", "K2", "K3"} {
		if _, is, err := k.b.Withdrawn(k.Context(), env, id); is || err != nil {
			k.Errorf("Withdrawn(%s) = %v, %v", id, is, err)
		}
	}
	k.check(k.a.Delete(k.Context(), env, "K1"))
	k.wantError(k.b.Change(k.Context(), env, "K1", keep), keystore.ErrNoKey)
	k.check(k.b.Create(k.Context(), env, newKey(k, "K1", 3)))
	if got := k.lives(env); len(got) != 2 {
		k.Errorf("after it was created again: %v", got)
	}
}

func entryOf(operation string, n int) keystore.Entry {
	at := born().Add(time.Duration(n)*time.Second + 123456789)
	return keystore.Entry{Operation: operation, ID: "K1", StartedAt: at, Known: []playback.KeyID{"A", "b_-"}, Host: "host/7", Until: at.Add(time.Minute)}
}

func (k *keeping) wantJournal(want *keystore.Entry) {
	k.Helper()
	for _, keeper := range []keystore.Keeper{k.a, k.b} {
		got, found, err := keeper.Journal(k.Context(), env)
		k.check(err)
		if found != (want != nil) || found && !got.Equal(*want) {
			k.Errorf("the journal holds %v, %v, want %v", got, found, want)
		}
	}
}

func journalled(k *keeping) {
	first, second := entryOf("create", 1), entryOf("delete", 2)
	for range 2 { // the second time over what the first has left
		k.wantJournal(nil)
		k.check(k.b.CloseJournal(k.Context(), env, first))
		k.wantError(k.b.ReplaceJournal(k.Context(), env, first, second), keystore.ErrChanged)
		k.check(k.a.OpenJournal(k.Context(), env, first))
		k.wantJournal(&first)
		k.wantError(k.b.OpenJournal(k.Context(), env, second), keystore.ErrBusy)
		k.wantError(k.b.CloseJournal(k.Context(), env, second), keystore.ErrChanged)
		k.wantError(k.b.ReplaceJournal(k.Context(), env, second, first), keystore.ErrChanged)
		k.wantJournal(&first)
		k.check(k.b.ReplaceJournal(k.Context(), env, first, second))
		k.wantJournal(&second)
		k.wantError(k.a.CloseJournal(k.Context(), env, first), keystore.ErrChanged)
		k.check(k.a.CloseJournal(k.Context(), env, second))
	}
	k.wantJournal(nil)
	k.wantLives(env, map[playback.KeyID]keystore.Life{})
}

func journalRaced(k *keeping) {
	race := func(do func(keystore.Keeper, int) error, lost error) {
		k.Helper()
		var wins atomic.Int64
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				keeper := k.a
				if i%2 == 1 {
					keeper = k.b
				}
				switch err := do(keeper, i); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, lost):
					k.Errorf("error %v, want %v", err, lost)
				}
			})
		}
		all.Wait()
		if wins.Load() != 1 {
			entry, found, err := k.a.Journal(k.Context(), env)
			k.Errorf("%d won; the journal holds %v, %v, %v", wins.Load(), entry, found, err)
		}
	}
	race(func(keeper keystore.Keeper, i int) error {
		return keeper.OpenJournal(k.Context(), env, entryOf(fmt.Sprint("open", i), i))
	}, keystore.ErrBusy)
	from, _, err := k.a.Journal(k.Context(), env)
	k.check(err)
	race(func(keeper keystore.Keeper, i int) error {
		return keeper.ReplaceJournal(k.Context(), env, from, entryOf(fmt.Sprint("replace", i), i))
	}, keystore.ErrChanged)
}

func walled(k *keeping) {
	k.check(k.a.Create(k.Context(), env, newKey(k, "K1", 1)))
	k.check(k.a.OpenJournal(k.Context(), env, entryOf("create", 1)))
	k.wantLives(other, map[playback.KeyID]keystore.Life{})
	k.wantError(k.a.Change(k.Context(), other, "K1", keep), keystore.ErrNoKey)
	k.check(k.a.OpenJournal(k.Context(), other, entryOf("create", 2)))
	k.check(k.a.Create(k.Context(), other, newKey(k, "K1", 2)))
	k.check(k.a.Delete(k.Context(), other, "K1"))
	if got := k.lives(env); len(got) != 1 {
		k.Errorf("the other environment's deletion left %v", got)
	}
}

func cancelled(k *keeping) {
	k.check(k.a.Create(k.Context(), env, newKey(k, "K1", 1)))
	before := k.lives(env)
	ctx, cancel := context.WithCancel(k.Context())
	cancel()
	for name, err := range map[string]error{
		"Create":       k.a.Create(ctx, env, newKey(k, "K2", 2)),
		"Change":       k.a.Change(ctx, env, "K1", func(l keystore.Life) (keystore.Life, error) { return l.Retire(born()) }),
		"Delete":       k.a.Delete(ctx, env, "K1"),
		"OpenJournal":  k.a.OpenJournal(ctx, env, entryOf("create", 1)),
		"CloseJournal": k.a.CloseJournal(ctx, env, entryOf("create", 1)),
	} {
		if err == nil {
			k.Errorf("%s succeeded", name)
		}
	}
	k.wantLives(env, before)
	k.wantJournal(nil)
}
