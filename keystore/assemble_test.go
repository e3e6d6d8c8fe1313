package keystore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
)

func TestAssembleAppliesTheRulesOfStates(t *testing.T) {
	t.Parallel()
	const none, prepared, active, retired = keystore.Stateless, keystore.Prepared, keystore.Active, keystore.Retired
	key := func(id playback.KeyID, state keystore.State, activated, created int64) keystore.Record {
		return keystore.Record{Key: keystore.Key{
			ID: id, State: state, Origin: "keys/acme/" + string(id) + ".pem", Private: keystoretest.Private(t, 1),
			ActivatedAt: time.Unix(activated, 0), CreatedAt: time.Unix(created, 0),
		}}
	}
	broken := func(id playback.KeyID) keystore.Record {
		return keystore.Refuse(id, "keys/acme/"+string(id)+".pem", errors.New("is broken"))
	}
	for _, c := range []struct {
		name     string
		records  []keystore.Record
		want     string   // "ID state" of each key
		problems []string // the paths blamed
		fatal    string   // in the error
	}{
		{"no keys", nil, "", nil, ""},
		{"one without a state is active", []keystore.Record{key("A", none, 0, 0)}, "A active", nil, ""},
		{"its state is respected", []keystore.Record{key("A", prepared, 0, 0)}, "A prepared", nil, ""},
		{"only retired ones: nobody signs", []keystore.Record{key("A", retired, 0, 0)}, "A retired", nil, ""},
		{"one without a state beside a prepared one", []keystore.Record{key("B", prepared, 0, 0), key("A", none, 0, 0)}, "A active, B prepared", nil, ""},
		{"sorted by ID", []keystore.Record{key("b", retired, 0, 0), key("a", active, 0, 0), key("B", prepared, 0, 0)}, "B prepared, a active, b retired", nil, ""},
		{"several without a state", []keystore.Record{key("A", none, 0, 0), key("B", none, 0, 0), key("C", active, 0, 0)}, "", nil, "keys/acme/A.pem, keys/acme/B.pem;"},
		{"a broken one without a state does not count", []keystore.Record{key("A", none, 0, 0), broken("B")}, "A active", []string{"keys/acme/B.pem"}, ""},
		{"two active: the later activated_at signs", []keystore.Record{key("A", active, 5, 9), key("B", active, 6, 1)}, "A retired, B active", []string{"keys/acme/A.pem"}, ""},
		{"two active: then the later created_at", []keystore.Record{key("A", active, 5, 9), key("B", active, 5, 1)}, "A active, B retired", []string{"keys/acme/B.pem"}, ""},
		{"two active: then the greater ID", []keystore.Record{key("A", active, 5, 9), key("B", active, 5, 9)}, "A retired, B active", []string{"keys/acme/A.pem"}, ""},
		{"three active", []keystore.Record{key("A", active, 5, 0), key("B", active, 7, 0), key("C", active, 6, 0)}, "A retired, B active, C retired", []string{"keys/acme/C.pem", "keys/acme/A.pem"}, ""},
		{"without a state beside an active one", []keystore.Record{key("A", none, 0, 0), key("B", active, 7, 0)}, "A retired, B active", []string{"keys/acme/A.pem"}, ""},
		{"an unknown state", []keystore.Record{key("A", "sleeping", 0, 0), key("B", active, 0, 0)}, "B active", []string{"keys/acme/A.pem"}, ""},
		{"a malformed ID", []keystore.Record{key("../A", active, 0, 0), key("B", active, 0, 0)}, "B active", []string{"keys/acme/../A.pem"}, ""},
		{"one ID twice", []keystore.Record{key("A", active, 0, 0), key("A", active, 0, 0)}, "A active", []string{"keys/acme/A.pem"}, ""},
		{"no key in the record", []keystore.Record{{Key: keystore.Key{ID: "A", Origin: "x"}}}, "", []string{"x"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := fmt.Sprint(c.records)
			set, problems, err := keystore.Assemble(c.records)
			if (err != nil) != (c.fatal != "") || err != nil && (!errors.Is(err, keystore.ErrSeveralStateless) || !strings.Contains(err.Error(), c.fatal)) {
				t.Fatalf("Assemble = %v, want an error with %q", err, c.fatal)
			}
			var got, paths []string
			for _, k := range set.Keys {
				got = append(got, fmt.Sprintf("%s %s", k.ID, k.State))
			}
			for _, p := range problems {
				paths = append(paths, p.Path)
				if p.Warning || p.Reason == "" {
					t.Errorf("%+v is no alarm with a reason", p)
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.problems, paths); diff != "" {
				t.Error(diff)
			}
			if after := fmt.Sprint(c.records); before != after {
				t.Errorf("Assemble wrote to its input: %s, before %s", after, before)
			}
		})
	}
}

func TestKeysetsDifferInWhateverAReaderCouldSee(t *testing.T) {
	t.Parallel()
	base := func() *keystore.Key { return keystoretest.Key(t, "A", 1, keystore.Active) }
	set := func(keys ...*keystore.Key) keystore.Keyset { return keystore.Keyset{Keys: keys} }
	if !set(base()).Equal(set(base())) || !set().Equal(keystore.Keyset{}) {
		t.Error("equal sets differ")
	}
	edited := func(edit func(*keystore.Key)) *keystore.Key { k := base(); edit(k); return k }
	for name, other := range map[string]keystore.Keyset{
		"fewer":        set(),
		"more":         set(base(), keystoretest.Key(t, "B", 2, keystore.Prepared)),
		"ID":           set(edited(func(k *keystore.Key) { k.ID = "B" })),
		"state":        set(edited(func(k *keystore.Key) { k.State = keystore.Retired })),
		"material":     set(keystoretest.Key(t, "A", 2, keystore.Active)),
		"created_at":   set(edited(func(k *keystore.Key) { k.CreatedAt = time.Unix(1, 0) })),
		"activated_at": set(edited(func(k *keystore.Key) { k.ActivatedAt = time.Unix(1, 0) })),
		"retired_at":   set(edited(func(k *keystore.Key) { k.RetiredAt = time.Unix(1, 0) })),
		"origin":       set(edited(func(k *keystore.Key) { k.Origin = "elsewhere" })),
	} {
		if set(base()).Equal(other) {
			t.Errorf("%s: different sets are equal", name)
		}
	}
}

func TestSnapshotIsACopy(t *testing.T) {
	t.Parallel()
	sets := map[playback.EnvironmentID]keystore.Keyset{"b": {Keys: []*keystore.Key{keystoretest.Key(t, "A", 1, keystore.Active)}}, "a": {}}
	s := keystore.NewSnapshot(sets)
	delete(sets, "b")
	if got := s.Environments(); !slices.Equal(got, []playback.EnvironmentID{"a", "b"}) {
		t.Errorf("Environments = %v", got)
	}
	if key, ok := s.Keyset("b").Active(); !ok || key.ID != "A" {
		t.Error("an environment is missing")
	}
	if _, ok := s.Keyset("c").Active(); ok || len((keystore.Snapshot{}).Environments()) > 0 {
		t.Error("an unknown environment has something")
	}
}
