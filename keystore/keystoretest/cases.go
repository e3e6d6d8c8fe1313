package keystoretest

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// common applies to all drivers.
func common() []testCase {
	return []testCase{
		{"a cancelled context is an error, not a withdrawal", func(s *suite) {
			ctx, cancel := context.WithCancel(s.Context())
			cancel()
			if records, _, err := s.Source.Load(ctx, env); err == nil {
				s.Errorf("Load = %v, want an error", records)
			}
		}},
		{"what is no environment ID is an error", func(s *suite) {
			for _, name := range []playback.EnvironmentID{"", "..", "../acme", "acme/signing-keys", ".hidden", "Acme", "acme\x00", "/etc"} {
				if records, _, err := s.Source.Load(s.Context(), name); err == nil {
					s.Errorf("Load(%q) = %v, want an error", name, records)
				}
			}
		}},
	}
}

// made applies to drivers that make their own keys.
func made() []testCase {
	return []testCase{
		{"makes one active key and keeps it", func(s *suite) {
			first, problems := s.load()
			s.silent(problems)
			key, ok := first.Active()
			if !ok || len(first.Keys) != 1 || !key.ID.Valid() || key.ActivatedAt.IsZero() {
				s.Fatalf("got %v, want one active key", first.Keys)
			}
			if again, _ := s.load(); !again.Equal(first) {
				s.Errorf("the second Load gave %v, want %v", again.Keys, first.Keys)
			}
		}},
		{"environments have different keys", func(s *suite) {
			a, _ := s.loadOf(env)
			b, _ := s.loadOf(other)
			if a.Keys[0].ID == b.Keys[0].ID || a.Keys[0].Thumbprint == b.Keys[0].Thumbprint {
				s.Errorf("both have %v", a.Keys[0])
			}
		}},
		{"concurrent loads see one key", func(s *suite) { s.concurrently() }},
	}
}

// given applies to drivers that can be given keys.
func given() []testCase { return slices.Concat(reading(), changing(), judging()) }

// reading is about what is there from the start.
func reading() []testCase {
	return []testCase{
		{"an environment without keys is empty, not an error", func(s *suite) {
			set, problems := s.load()
			s.expect(set)
			if len(problems) != 1 {
				s.Errorf("problems = %v, want one that says so", problems)
			}
		}},
		{"the only key without a state is active", func(s *suite) {
			s.put("K1", 1, keystore.Stateless)
			set, problems := s.load()
			s.expect(set, want{"K1", 1, keystore.Active})
			s.silent(problems)
		}},
		{"reads every form of material", func(s *suite) {
			s.Put(s, env, "K1", Entry{Material: PEM(s, 1), State: keystore.Active})
			s.Put(s, env, "K2", Entry{Material: PKCS8(s, 2), State: keystore.Prepared})
			s.Put(s, env, "K3", Entry{Material: Base64(s, 3), State: keystore.Prepared})
			set, problems := s.load()
			s.expect(set, want{"K1", 1, keystore.Active}, want{"K2", 2, keystore.Prepared}, want{"K3", 3, keystore.Prepared})
			s.silent(problems)
		}},
		{"repairs material, with a warning", repairsMaterial},
		{"key IDs are case-sensitive and may hold - and _", func(s *suite) {
			s.put("a_-1", 1, keystore.Active)
			s.put("A_-2", 2, keystore.Prepared)
			set, _ := s.load()
			s.expect(set, want{"A_-2", 2, keystore.Prepared}, want{"a_-1", 1, keystore.Active})
		}},
		{"keeps the times", func(s *suite) {
			e := Entry{
				Material: PEM(s, 1), State: keystore.Retired,
				CreatedAt: time.Unix(1700000000, 0), ActivatedAt: time.Unix(1700000300, 0), RetiredAt: time.Unix(1700009999, 0),
			}
			s.Put(s, env, "K1", e)
			set, _ := s.load()
			s.expect(set, want{"K1", 1, keystore.Retired})
			got := [3]int64{set.Keys[0].CreatedAt.Unix(), set.Keys[0].ActivatedAt.Unix(), set.Keys[0].RetiredAt.Unix()}
			if diff := cmp.Diff([3]int64{1700000000, 1700000300, 1700009999}, got); diff != "" {
				s.Error(diff)
			}
		}},
		{"tells since when a key without a creation time is stored", tellsSince},
		{"concurrent loads agree", func(s *suite) {
			s.put("K1", 1, keystore.Active)
			s.put("K2", 2, keystore.Prepared)
			s.concurrently()
		}},
	}
}

func repairsMaterial(s *suite) {
	folded := strings.ReplaceAll(strings.TrimSpace(string(PEM(s, 1))), "\n", " ")
	s.Put(s, env, "K1", Entry{Material: []byte(folded), State: keystore.Active})
	s.put("K2", 2, keystore.Prepared)
	for range 2 { // the second time nothing has changed
		set, problems := s.load()
		s.expect(set, want{"K1", 1, keystore.Active}, want{"K2", 2, keystore.Prepared})
		s.silent(problems)
		s.warnsOfRepair(problems, "K1")
	}
}

func tellsSince(s *suite) {
	s.put("K1", 1, keystore.Active)
	set, _ := s.load()
	s.expect(set, want{"K1", 1, keystore.Active})
	if key := set.Keys[0]; key.StoredAt.IsZero() || !key.CreatedAt.IsZero() {
		s.Errorf("stored at %v, created at %v, want the time of Put and none", key.StoredAt, key.CreatedAt)
	}
}

// changing is about keys that come, change and go.
func changing() []testCase {
	return []testCase{
		{"a key that is added appears", func(s *suite) {
			s.put("K1", 1, keystore.Active)
			s.load()
			s.put("K2", 2, keystore.Prepared)
			set, _ := s.load()
			s.expect(set, want{"K1", 1, keystore.Active}, want{"K2", 2, keystore.Prepared})
		}},
		{"a key lives: prepared, active, retired, withdrawn", func(s *suite) {
			s.put("K1", 1, keystore.Active)
			s.put("K2", 2, keystore.Prepared)
			s.load()
			s.put("K2", 2, keystore.Active)
			s.put("K1", 1, keystore.Retired)
			set, problems := s.load()
			s.expect(set, want{"K1", 1, keystore.Retired}, want{"K2", 2, keystore.Active})
			s.silent(problems)
			s.Remove(s, env, "K1")
			set, _ = s.load()
			s.expect(set, want{"K2", 2, keystore.Active})
		}},
		{"the last key can be withdrawn, and come back", func(s *suite) {
			s.put("K1", 1, keystore.Active)
			s.load()
			s.Remove(s, env, "K1")
			set, _ := s.load()
			s.expect(set)
			s.put("K1", 1, keystore.Active)
			set, _ = s.load()
			s.expect(set, want{"K1", 1, keystore.Active})
		}},
		{"new material under an old ID is a new key", func(s *suite) {
			s.put("K1", 1, keystore.Active)
			s.load()
			s.put("K1", 2, keystore.Active)
			set, _ := s.load()
			s.expect(set, want{"K1", 2, keystore.Active})
		}},
		{"what has not changed is not parsed again", func(s *suite) {
			s.put("K1", 1, keystore.Active)
			before, _ := s.load()
			s.put("K2", 2, keystore.Prepared)
			after, _ := s.load()
			if before.Keys[0].Private != after.Keys[0].Private {
				s.Error("K1 was parsed twice")
			}
		}},
		{"a broken key that is repaired loads", func(s *suite) {
			s.Put(s, env, "K1", Entry{Material: []byte("oops"), State: keystore.Active})
			set, problems := s.load()
			s.expect(set)
			s.blames(problems, "K1")
			s.put("K1", 1, keystore.Active)
			set, problems = s.load()
			s.expect(set, want{"K1", 1, keystore.Active})
			s.silent(problems)
		}},
	}
}

// judging is about the rules of contract §6, and the wall.
func judging() []testCase {
	return []testCase{
		{"of two active keys the later signs, with an alarm", func(s *suite) {
			s.Put(s, env, "K1", Entry{Material: PEM(s, 1), State: keystore.Active, ActivatedAt: time.Unix(2000, 0)})
			s.Put(s, env, "K2", Entry{Material: PEM(s, 2), State: keystore.Active, ActivatedAt: time.Unix(1000, 0)})
			set, problems := s.load()
			s.expect(set, want{"K1", 1, keystore.Active}, want{"K2", 2, keystore.Retired})
			s.blames(problems, "K2")
		}},
		{"several keys without a state are an error that names them", func(s *suite) {
			s.put("K1", 1, keystore.Stateless)
			s.put("K2", 2, keystore.Stateless)
			s.put("K3", 3, keystore.Active)
			set, _, err := keystore.Load(s.Context(), s.Source, env)
			if !errors.Is(err, keystore.ErrSeveralStateless) || !strings.Contains(err.Error(), "K1") ||
				!strings.Contains(err.Error(), "K2") || strings.Contains(err.Error(), "K3") {
				s.Errorf("Load = %v, %v, want an error that names K1 and K2", set.Keys, err)
			}
		}},
		{"broken neighbours do not hurt", brokenNeighbours},
		{"environments do not see each other's keys", func(s *suite) {
			s.Put(s, env, "K1", Entry{Material: PEM(s, 1)})
			s.Put(s, other, "K1", Entry{Material: PEM(s, 2)})
			s.Put(s, other, "K2", Entry{Material: PEM(s, 3), State: keystore.Prepared})
			set, _ := s.loadOf(env)
			s.expect(set, want{"K1", 1, keystore.Active})
			set, _ = s.loadOf(other)
			s.expect(set, want{"K1", 2, keystore.Active}, want{"K2", 3, keystore.Prepared})
			s.Remove(s, other, "K1")
			set, _ = s.loadOf(env)
			s.expect(set, want{"K1", 1, keystore.Active})
		}},
	}
}

// brokenNeighbours puts everything that contract §6 refuses beside a good key.
func brokenNeighbours(s *suite) {
	public, err := x509.MarshalPKIXPublicKey(&Private(s, 1).PublicKey)
	if err != nil {
		s.Fatal(err)
	}
	broken := map[playback.KeyID]Entry{
		"PUBLIC":    {Material: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), State: keystore.Prepared},
		"ENCRYPTED": {Material: pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: public}), State: keystore.Prepared},
		"TRUNCATED": {Material: PEM(s, 2)[:600], State: keystore.Prepared},
		"EMPTY":     {Material: []byte{}, State: keystore.Prepared},
		"GARBAGE":   {Material: []byte("not a key"), State: keystore.Stateless},
		"UNKNOWN":   {Material: PEM(s, 3), State: "sleeping"},
	}
	for id, entry := range broken {
		s.Put(s, env, id, entry)
	}
	s.put("GOOD", 1, keystore.Stateless)
	for range 2 { // the second time nothing has changed
		set, problems := s.load()
		s.expect(set, want{"GOOD", 1, keystore.Active})
		for id := range broken {
			s.blames(problems, id)
		}
	}
}

// blames checks that exactly one problem, with a reason, has the key's path.
func (s *suite) blames(problems []keystore.Problem, id playback.KeyID) {
	s.Helper()
	var found []keystore.Problem
	for _, p := range problems {
		if strings.Contains(p.Path, string(id)) && !p.Warning {
			found = append(found, p)
		}
	}
	if len(found) != 1 || found[0].Reason == "" {
		s.Errorf("problems that name %s: %v, want one; all: %v", id, found, problems)
	}
}

// warnsOfRepair checks that one warning has the key's path, and says what was
// repaired.
func (s *suite) warnsOfRepair(problems []keystore.Problem, id playback.KeyID) {
	s.Helper()
	if s.KeepsNoText != "" {
		s.Logf("does not apply (%s): warning of a repair", s.KeepsNoText)
		return
	}
	if len(problems) != 1 || !strings.Contains(problems[0].Path, string(id)) || !strings.Contains(problems[0].Reason, "spaces in place of its line breaks") {
		s.Errorf("problems: %v, want one that says what was repaired in %s", problems, id)
	}
}

// concurrently loads one environment from many goroutines.
func (s *suite) concurrently() {
	var all sync.WaitGroup
	sets := make([]keystore.Keyset, 8)
	errs := make([]error, len(sets))
	for i := range sets {
		all.Go(func() {
			for range 3 {
				if sets[i], _, errs[i] = keystore.Load(s.Context(), s.Source, env); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for i, set := range sets {
		if errs[i] != nil || !set.Equal(sets[0]) || len(set.Keys) == 0 {
			s.Errorf("goroutine %d: %v, %v, want %v", i, set.Keys, errs[i], fmt.Sprint(sets[0].Keys))
		}
	}
}
