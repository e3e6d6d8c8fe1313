package keystoretest

import (
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Entry is a key to be given to a driver, in whatever way it stores keys.
type Entry struct {
	Material    []byte
	State       keystore.State // Stateless: no state is stored
	CreatedAt   time.Time      // zero times are not stored
	ActivatedAt time.Time
	RetiredAt   time.Time
}

// Harness is a driver under test.
type Harness struct {
	Source keystore.Source
	// Put stores a key, or replaces it with all that was stored beside it.
	Put func(t testing.TB, env playback.EnvironmentID, id playback.KeyID, entry Entry)
	// Remove removes a key with all that was stored beside it.
	Remove func(t testing.TB, env playback.EnvironmentID, id playback.KeyID)
	// MakesItsOwnKeys declares, with the reason, that the driver cannot be given
	// keys: Put and Remove are nil, and Load makes one key per environment.
	MakesItsOwnKeys string
	// KeepsNoText declares, with the reason, that the driver does not keep the
	// text of a key, so that what had to be repaired in it is known only to Put.
	KeepsNoText string
}

// Factory returns a new harness without keys. It closes the source when the
// test ends.
type Factory func(t *testing.T) *Harness

// Run checks that a driver does what keystore.Source promises. What a driver
// declares that it lacks is logged, never left out silently.
func Run(t *testing.T, factory Factory) {
	t.Helper()
	cases := common()
	probe := factory(t)
	if probe.MakesItsOwnKeys == "" {
		if probe.Put == nil || probe.Remove == nil {
			t.Fatal("the driver neither can be given keys (Put, Remove) nor declares why (MakesItsOwnKeys)")
		}
		cases = append(cases, given()...)
	} else {
		for _, c := range given() {
			t.Logf("does not apply (%s): %s", probe.MakesItsOwnKeys, c.name)
		}
		cases = append(cases, made()...)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(&suite{T: t, Harness: factory(t)})
		})
	}
}

type testCase struct {
	name  string
	check func(*suite)
}

// suite is one case being run.
type suite struct {
	*testing.T
	*Harness
}

// env and other are two environments; one's name begins with the other's, which
// a driver that confuses prefixes would trip over.
const (
	env   playback.EnvironmentID = "acme"
	other playback.EnvironmentID = "acme-prod"
)

func (s *suite) put(id playback.KeyID, n int, state keystore.State) {
	s.Helper()
	s.Put(s, env, id, Entry{Material: PEM(s, n), State: state})
}

// load reads env and fails on an error.
func (s *suite) load() (keystore.Keyset, []keystore.Problem) {
	s.Helper()
	return s.loadOf(env)
}

func (s *suite) loadOf(env playback.EnvironmentID) (keystore.Keyset, []keystore.Problem) {
	s.Helper()
	set, problems, err := keystore.Load(s.Context(), s.Source, env)
	if err != nil {
		s.Fatalf("Load(%s) = %v", env, err)
	}
	return set, problems
}

// want is a key as the cases expect it.
type want struct {
	id    playback.KeyID
	n     int // test key
	state keystore.State
}

// expect checks that a set holds exactly these keys.
func (s *suite) expect(set keystore.Keyset, wants ...want) {
	s.Helper()
	if len(set.Keys) != len(wants) {
		s.Fatalf("got %v, want %v", set.Keys, wants)
	}
	for i, w := range wants {
		got := set.Keys[i]
		if got.ID != w.id || got.State != w.state || got.Thumbprint != Thumbprint(s, w.n) {
			s.Errorf("key %d is %v, want %v", i, got, w)
		}
	}
}

// silent checks that nothing but warnings was reported.
func (s *suite) silent(problems []keystore.Problem) {
	s.Helper()
	for _, p := range problems {
		if !p.Warning {
			s.Errorf("unexpected problem: %v", p)
		}
	}
}
