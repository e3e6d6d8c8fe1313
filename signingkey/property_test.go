package signingkey_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

// story is a random life of an environment: operations one after the other, in
// processes that may die at any step, while tokens are signed.
type story struct {
	*rig
	random *rand.Rand
	told   []string // what happened, for whoever reads a failure
	signed map[playback.KeyID]time.Time
	ever   bool // a key has been active
}

// TestWhateverHappensNoTokenIsLost checks after each operation and each death
// that what is promised holds: one active key, none at Mux that nobody has, none
// gone at Mux that has signed what may be valid.
func TestWhateverHappensNoTokenIsLost(t *testing.T) {
	t.Parallel()
	stories, length := 30, 40
	if testing.Short() {
		stories = 5
	}
	for n := range stories {
		seed := uint64(n)
		t.Run(fmt.Sprintf("story %d", seed), func(t *testing.T) {
			t.Parallel()
			s := &story{rig: newRig(t, stores()[n%2]), random: rand.New(rand.NewPCG(seed, 4)), signed: map[playback.KeyID]time.Time{}}
			s.settings.RotateEvery, s.settings.RetireAfter = 3*time.Hour, time.Hour
			for range length {
				s.operate()
				s.hold()
				if t.Failed() {
					t.Fatalf("it began with\n%s", strings.Join(s.told, "\n"))
				}
			}
		})
	}
}

func (s *story) tell(format string, args ...any) {
	s.told = append(s.told, s.clock.Now().Format(time.TimeOnly)+" "+fmt.Sprintf(format, args...))
}

// operate does something, dies perhaps, and recovers.
func (s *story) operate() {
	s.clock.forward(time.Duration(s.random.Int64N(int64(90 * time.Minute))))
	s.sign()
	d := &death{after: 1000}
	if s.random.IntN(3) == 0 {
		d.after, d.late = s.random.IntN(7), s.random.IntN(2) == 0
	}
	o := order(s.any())
	m := s.mortal("host/2", d)
	var err error
	what := s.random.IntN(6)
	switch what {
	case 0:
		_, err = m.Create(s.Context(), creation())
	case 1:
		_, err = m.Import(s.Context(), signingkey.Import{Environment: env, Key: playback.KeyID(fmt.Sprintf("I%d", s.random.IntN(1000))), Material: material(1 + s.random.IntN(4))})
	case 2:
		_, err = m.Activate(s.Context(), o)
	case 3:
		_, err = m.Retire(s.Context(), o)
	case 4:
		err = m.Delete(s.Context(), o)
	case 5:
		_, err = m.Rotate(s.Context(), env)
	}
	s.tell("%s %s: %v; %s", [...]string{"create", "import", "activate", "retire", "delete", "rotate"}[what], o.Key, err, s.states())
	s.clock.forward(time.Duration(s.random.Int64N(int64(time.Minute))))
	if err = s.Recover(s.Context(), env); errors.Is(err, playback.CodeKeyBusy) {
		s.clock.forward(2 * time.Minute)
		err = s.Recover(s.Context(), env)
	}
	s.check(err)
	s.tell("recovered: %s; at Mux: %s", s.states(), s.mux.ids())
}

// any returns one of the keys.
func (s *story) any() playback.KeyID {
	records, _, err := s.keeper.Load(s.Context(), env)
	s.check(err)
	if len(records) == 0 {
		return "NONE"
	}
	return records[s.random.IntN(len(records))].ID
}

// sign has the active key sign something that lives as long as it can.
func (s *story) sign() {
	records, _, err := s.keeper.Load(s.Context(), env)
	s.check(err)
	set, _, err := keystore.Assemble(records)
	s.check(err)
	if key, ok := set.Active(); ok {
		s.signed[key.ID] = s.clock.Now().Add(s.settings.MaxTTL)
		s.ever = true
	}
}

// hold checks what must hold between operations.
func (s *story) hold() {
	records, _, err := s.keeper.Load(s.Context(), env)
	s.check(err)
	stored, active := map[playback.KeyID]bool{}, 0
	for i := range records {
		stored[records[i].ID] = true
		if records[i].State == keystore.Active {
			active++
		}
		if id := records[i].ID; strings.HasPrefix(string(id), "M") && !s.mux.has(id) {
			s.Errorf("key %s is stored, but gone at Mux", id)
		}
	}
	if active > 1 || active == 0 && s.ever {
		s.Errorf("%d active keys", active)
	}
	for id := range strings.FieldsSeq(s.mux.ids()) {
		if id != "ELSEWHERE" && !stored[playback.KeyID(id)] {
			s.Errorf("key %s is at Mux, and nobody has it", id)
		}
	}
	for id, until := range s.signed {
		if until.After(s.clock.Now()) && !stored[id] {
			s.Errorf("key %s is gone, and its tokens are valid until %s", id, until.Format(time.TimeOnly))
		}
	}
	if _, open, err := s.keeper.Journal(s.Context(), env); open || err != nil {
		s.Errorf("the journal is open: %v, %v", open, err)
	}
}
