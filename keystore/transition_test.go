package keystore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/keystore"
)

func TestTheStatesOfAKeyAndTheStepsBetweenThem(t *testing.T) {
	t.Parallel()
	const none, prepared, active, retired = keystore.Stateless, keystore.Prepared, keystore.Active, keystore.Retired
	then, now := time.Unix(1000, 0), time.Unix(2000, 0)
	activate, retire := keystore.Life.Activate, keystore.Life.Retire
	for _, c := range []struct {
		name string
		step func(keystore.Life, time.Time) (keystore.Life, error)
		from keystore.Life
		want keystore.Life
		fail bool
	}{
		{"prepared becomes active", activate, keystore.Life{State: prepared, CreatedAt: then, External: true}, keystore.Life{State: active, CreatedAt: then, ActivatedAt: now, External: true}, false},
		{"active stays active", activate, keystore.Life{State: active, ActivatedAt: then}, keystore.Life{State: active, ActivatedAt: then}, false},
		{"one without a state is active", activate, keystore.Life{State: none}, keystore.Life{State: active}, false},
		{"retired never comes back", activate, keystore.Life{State: retired, RetiredAt: then}, keystore.Life{}, true},
		{"an unknown state has no steps", activate, keystore.Life{State: "sleeping"}, keystore.Life{}, true},
		{"active becomes retired", retire, keystore.Life{State: active, ActivatedAt: then}, keystore.Life{State: retired, ActivatedAt: then, RetiredAt: now}, false},
		{"one without a state becomes retired", retire, keystore.Life{State: none}, keystore.Life{State: retired, RetiredAt: now}, false},
		{"prepared becomes retired", retire, keystore.Life{State: prepared, CreatedAt: then}, keystore.Life{State: retired, CreatedAt: then, RetiredAt: now}, false},
		{"retired stays retired since then", retire, keystore.Life{State: retired, RetiredAt: then}, keystore.Life{State: retired, RetiredAt: then}, false},
		{"an unknown retirement counts from now", retire, keystore.Life{State: retired}, keystore.Life{State: retired, RetiredAt: now}, false},
		{"an unknown state does not retire", retire, keystore.Life{State: "sleeping"}, keystore.Life{}, true},
	} {
		got, err := c.step(c.from, now)
		var refused *keystore.TransitionError
		if errors.As(err, &refused) != c.fail || (err != nil) != c.fail {
			t.Errorf("%s: error %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestWhenAKeyMaySignAndMayGo(t *testing.T) {
	t.Parallel()
	terms := keystore.Terms{PrepareFor: 5 * time.Minute, MaxTTL: time.Hour, ExternalMaxTTL: 24 * time.Hour}
	at := time.Unix(100_000, 0)
	if got := terms.ReadyAt(keystore.Life{State: keystore.Prepared, CreatedAt: at}); !got.Equal(at.Add(5 * time.Minute)) {
		t.Errorf("ready at %v", got)
	}
	if got := terms.ReadyAt(keystore.Life{State: keystore.Prepared}); !got.IsZero() {
		t.Errorf("of unknown age: ready at %v, want at once", got)
	}
	for _, c := range []struct {
		name string
		life keystore.Life
		want time.Time // zero: not known
	}{
		{"retired", keystore.Life{State: keystore.Retired, RetiredAt: at}, at.Add(time.Hour)},
		{"retired and external", keystore.Life{State: keystore.Retired, RetiredAt: at, External: true}, at.Add(24 * time.Hour)},
		{"retired, nobody knows when", keystore.Life{State: keystore.Retired}, time.Time{}},
		{"active", keystore.Life{State: keystore.Active, RetiredAt: at}, time.Time{}},
		{"prepared", keystore.Life{State: keystore.Prepared, RetiredAt: at}, time.Time{}},
	} {
		got, ok := terms.DeletableAt(c.life)
		if !got.Equal(c.want) || ok == c.want.IsZero() {
			t.Errorf("%s: deletable at %v, %v, want %v", c.name, got, ok, c.want)
		}
	}
	terms.ExternalMaxTTL = time.Minute
	if got, _ := terms.DeletableAt(keystore.Life{State: keystore.Retired, RetiredAt: at, External: true}); !got.Equal(at.Add(time.Hour)) {
		t.Errorf("external with a short bound of its own: %v, want max_ttl", got)
	}
}

func TestALifeSurvivesItsDocument(t *testing.T) {
	t.Parallel()
	at := time.Unix(1795425054, 0).UTC()
	for _, life := range []keystore.Life{
		{},
		{State: keystore.Prepared, CreatedAt: at},
		{State: keystore.Active, CreatedAt: at, ActivatedAt: at.Add(time.Second)},
		{State: keystore.Retired, CreatedAt: at, ActivatedAt: at, RetiredAt: at, External: true},
	} {
		got, err := keystore.LifeOf(life.Document())
		if err != nil {
			t.Errorf("%v: %v", life, err)
		}
		if diff := cmp.Diff(life, got); diff != "" {
			t.Error(diff)
		}
		older := map[string]any{"state": "active", "retired_at": 7, "external": true, "note": "stays"}
		want := life.Document()
		want["note"] = "stays"
		if diff := cmp.Diff(want, life.Over(older)); diff != "" || len(older) != 4 {
			t.Errorf("over an older document: %s", diff)
		}
	}
}
