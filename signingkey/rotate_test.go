package signingkey_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

const (
	day   = 24 * time.Hour
	month = 30 * day
)

func TestPlan(t *testing.T) {
	t.Parallel()
	start := time.Unix(1795425054, 0).UTC()
	key := func(id playback.KeyID, state keystore.State, at time.Time) *keystore.Key {
		k := &keystore.Key{ID: id, State: state, CreatedAt: at}
		switch state {
		case keystore.Active:
			k.ActivatedAt = at
		case keystore.Retired:
			k.RetiredAt = at
		case keystore.Prepared, keystore.Stateless:
		}
		return k
	}
	active := key("A", keystore.Active, start)
	prepared, late := key("P", keystore.Prepared, start.Add(time.Hour)), key("L", keystore.Prepared, start.Add(month-time.Minute))
	external := key("E", keystore.Prepared, start)
	external.External = true
	retired := key("R", keystore.Retired, start)
	ageless, born := key("A", keystore.Active, time.Time{}), key("A", keystore.Active, start)
	born.ActivatedAt = time.Time{}
	type step = signingkey.Step
	for name, c := range map[string]struct {
		keys []*keystore.Key
		edit func(*signingkey.Settings)
		want step
	}{
		"no schedule":                              {[]*keystore.Key{active, retired}, func(s *signingkey.Settings) { s.RotateEvery = 0 }, step{}},
		"no key at all: one is made at once":       {nil, nil, step{Action: signingkey.CreateKey}},
		"the next is made early enough":            {[]*keystore.Key{active}, nil, step{Action: signingkey.CreateKey, At: start.Add(month - 5*time.Minute)}},
		"it is activated in time":                  {[]*keystore.Key{active, prepared}, nil, step{Action: signingkey.Activation, Key: "P", At: start.Add(month)}},
		"the oldest of two":                        {[]*keystore.Key{active, late, prepared}, nil, step{Action: signingkey.Activation, Key: "P", At: start.Add(month)}},
		"never sooner than prepare_for":            {[]*keystore.Key{active, late}, nil, step{Action: signingkey.Activation, Key: "L", At: start.Add(month + 4*time.Minute)}},
		"at once where nothing signs":              {[]*keystore.Key{late}, nil, step{Action: signingkey.Activation, Key: "L"}},
		"what others have is not taken":            {[]*keystore.Key{active, external}, nil, step{Action: signingkey.CreateKey, At: start.Add(month - 5*time.Minute)}},
		"its creation counts, if that is all":      {[]*keystore.Key{born}, nil, step{Action: signingkey.CreateKey, At: start.Add(month - 5*time.Minute)}},
		"a retired key stays without retire_after": {[]*keystore.Key{active, retired}, nil, step{Action: signingkey.CreateKey, At: start.Add(month - 5*time.Minute)}},
		"and goes with it": {
			[]*keystore.Key{active, retired},
			func(s *signingkey.Settings) { s.RetireAfter = 7 * day },
			step{Action: signingkey.Deletion, Key: "R", At: start.Add(7 * day)},
		},
		"but not before it may": {
			[]*keystore.Key{active, retired},
			func(s *signingkey.Settings) { s.RetireAfter = time.Minute },
			step{Action: signingkey.Deletion, Key: "R", At: start.Add(time.Hour)},
		},
		"the sooner of two steps": {
			[]*keystore.Key{active, key("R", keystore.Retired, start.Add(month-day))},
			func(s *signingkey.Settings) { s.RetireAfter = 7 * day },
			step{Action: signingkey.CreateKey, At: start.Add(month - 5*time.Minute)},
		},
		"the sooner of two deletions": {
			[]*keystore.Key{active, key("S", keystore.Retired, start.Add(time.Hour)), retired},
			func(s *signingkey.Settings) { s.RetireAfter = 7 * day },
			step{Action: signingkey.Deletion, Key: "R", At: start.Add(7 * day)},
		},
		"a blocked step does not hold up a deletion": {
			[]*keystore.Key{ageless, retired},
			func(s *signingkey.Settings) { s.RetireAfter = 7 * day },
			step{Action: signingkey.Deletion, Key: "R", At: start.Add(7 * day)},
		},
		"a local one where Mux does not verify": {
			[]*keystore.Key{active},
			func(s *signingkey.Settings) { s.Mux, s.LocalRotation = nil, true },
			step{Action: signingkey.CreateKey, At: start.Add(month - 5*time.Minute)},
		},
	} {
		s := signingkey.Settings{Terms: keystore.Terms{PrepareFor: 5 * time.Minute, MaxTTL: time.Hour, ExternalMaxTTL: day}, RotateEvery: month, Mux: &fakeMux{}}
		if c.edit != nil {
			c.edit(&s)
		}
		got := signingkey.Plan(keystore.Keyset{Keys: c.keys}, s, func(k *keystore.Key) (time.Time, bool) { return s.DeletableAt(k.Life()) })
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	blocked := signingkey.Plan(keystore.Keyset{Keys: []*keystore.Key{ageless}}, signingkey.Settings{RotateEvery: month, Mux: &fakeMux{}}, nil)
	if blocked.Blocked == "" || blocked.Due(start) {
		t.Errorf("an active key of unknown age: %+v", blocked)
	}
	blocked = signingkey.Plan(keystore.Keyset{}, signingkey.Settings{RotateEvery: month}, nil)
	if blocked.Blocked == "" || blocked.Due(start) {
		t.Errorf("no Mux to make a key: %+v", blocked)
	}
}

func TestAYearOfRotation(t *testing.T) {
	t.Parallel()
	r := newRig(t, "memory")
	r.settings.RotateEvery, r.settings.RetireAfter = month, day
	start, activations := r.clock.Now(), 0
	for end := start.Add(365 * day); r.clock.Now().Before(end); {
		step, err := r.Rotate(t.Context(), env)
		r.check(err)
		if step.Action == signingkey.Activation {
			activations++
		}
		if step.Action != signingkey.NoAction {
			continue
		}
		next, err := r.Planned(t.Context(), env)
		if err != nil || !next.At.After(r.clock.Now()) {
			t.Fatalf("nothing was due, but %+v, %v", next, err)
		}
		r.clock.forward(next.At.Sub(r.clock.Now()))
	}
	if activations != 13 {
		t.Errorf("%d activations in a year, want 13", activations)
	}
	list, err := r.List(t.Context(), env)
	if err != nil || len(list) > 3 {
		t.Errorf("%d keys are left, %v", len(list), err)
	}
}

func TestReplicasThatRotateTogetherDoItOnce(t *testing.T) {
	t.Parallel()
	for _, store := range stores() {
		r := newRig(t, store)
		r.settings.RotateEvery = month
		since := r.clock.Now().Add(-month)
		r.put("K1", 1, keystore.Life{State: keystore.Active, CreatedAt: since, ActivatedAt: since})
		for range 2 { // it makes a key, and then activates it
			var all sync.WaitGroup
			for range 8 {
				replica := r.process("elsewhere/1", r.keeper, r.mux) // alive
				all.Go(func() {
					for {
						_, err := replica.Rotate(t.Context(), env)
						if err == nil {
							return
						}
						if !errors.Is(err, playback.CodeKeyBusy) {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			r.clock.forward(5*time.Minute + time.Second)
		}
		r.want("K1 retired, M1 active")
		r.wantAtMux("ELSEWHERE K1 M1")
	}
}
