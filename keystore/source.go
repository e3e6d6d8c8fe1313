package keystore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/playgate/playgate/playback"
)

// Source is where keys come from. Every implementation passes keystoretest.Run.
type Source interface {
	// Load reads the keys that the environment has now. A key that is not among
	// the records is withdrawn: it stops signing at once. So an error is
	// returned, and nothing else believed, whenever the source cannot tell
	// whether a key is there: it is unreachable, sealed, overloaded, or refuses
	// to answer. A key that is there but unusable is a refused Record and does
	// not hurt the others. Load may be called from several goroutines, also for
	// one environment, and ends soon after ctx does.
	Load(ctx context.Context, env playback.EnvironmentID) ([]Record, []Problem, error)
	// Close frees what the source holds; Load must not be called afterwards.
	Close() error
}

// Comparer is a Source that can tell cheaply whether there is anything to read.
type Comparer interface {
	Source
	// LoadMarked is Load, with a mark of what was read; nil if there can be none.
	LoadMarked(ctx context.Context, env playback.EnvironmentID) ([]Record, []Problem, Mark, error)
	// Notify says who is told of environments in which something may have changed
	// since a mark that is Watched was made. It is called once, before the first
	// LoadMarked. changed may be called from any goroutine and does not wait.
	Notify(changed func(playback.EnvironmentID))
}

// Mark stands for what one Load of one environment has read. It is used by one
// goroutine at a time.
type Mark interface {
	// Unchanged reports whether the same Load would read the same now. In doubt it
	// would not. It is not to wait for the network.
	Unchanged() bool
	// Watched reports, after Unchanged, whether the Source tells of changes from
	// now on, so that it need not be asked so often.
	Watched() bool
}

// Record is one key as its source has it: parsed, or refused with the reason.
// Like Key it redacts itself.
type Record struct {
	Key
	// Refused says why the key cannot be used; Private and Remote are nil then,
	// and State is what could be read of it.
	Refused error
	// Repairs are what Parse has repaired in the key's material.
	Repairs []string
}

// NewRecord makes the record of a key from its material (see Parse). origin
// says for people where it was read. Whether the primes are primes is looked at
// later: by Load and by the Watcher.
func NewRecord(id playback.KeyID, origin string, material []byte, life Life) Record {
	private, repairs, err := parse(material)
	if err != nil {
		refused := Refuse(id, origin, err)
		refused.State = life.State
		return refused
	}
	return Record{Repairs: repairs, Key: Key{
		ID: id, State: life.State, CreatedAt: life.CreatedAt, ActivatedAt: life.ActivatedAt, RetiredAt: life.RetiredAt,
		External: life.External,
		Private:  private, Thumbprint: ThumbprintOf(&private.PublicKey), Origin: origin, primes: new(primality),
	}}
}

// Refuse makes the record of a key that is there but cannot be used.
func Refuse(id playback.KeyID, origin string, reason error) Record {
	return Record{Key: Key{ID: id, Origin: origin}, Refused: reason}
}

// Problem is something wrong with an environment's keys that an operator must
// know of, although the rest of them load.
type Problem struct {
	Path   string // the file or Vault path, or what else names the culprit
	Reason string
	// Warning: everything loaded, but should not stay as it is. Otherwise a key
	// was refused or overruled, which is worth an alarm.
	Warning bool
	// Passing: it is so for a moment in the middle of a change, so that it is
	// worth an alarm only if the next reading finds it, too.
	Passing bool
	// Kept: the record of a key that signs, or is to, is that of an earlier
	// reading, so that this one does not count as one.
	Kept bool
}

// String returns path and reason.
func (p Problem) String() string { return p.Path + ": " + p.Reason }

// ErrSeveralStateless is returned when several keys of one environment have no
// state, so that nobody can tell which is to sign. It stops the start.
var ErrSeveralStateless = errors.New("several keys have no state, so none can be chosen")

// Load reads an environment's keys from the source and assembles them.
// Problems of both are returned, also beside an error.
func Load(ctx context.Context, source Source, env playback.EnvironmentID) (Keyset, []Problem, error) {
	records, problems, err := source.Load(ctx, env)
	if err != nil {
		return Keyset{}, problems, fmt.Errorf("reading keyset: %w", err)
	}
	for i := range records {
		_ = records[i].checkPrimes() // Assemble asks what was found
	}
	set, more, err := Assemble(records)
	return set, append(problems, more...), err
}

// Assemble applies the rules of contract §6 to the records of one environment:
//
//   - a refused record becomes a Problem; the others load;
//   - a record whose material was repaired loads, with a warning;
//   - the only key without a state is active;
//   - several without a state are ErrSeveralStateless, naming them;
//   - of several active keys the one with the latest activated_at signs (then
//     the latest created_at, then the greatest ID, so that all replicas agree);
//     the others count as retired, with a Problem.
//
// The error leaves the Keyset empty; a running gateway keeps its last good one.
func Assemble(records []Record) (Keyset, []Problem, error) {
	var problems []Problem
	var keys []*Key
	var stateless, active []*Key
	seen := map[playback.KeyID]string{}
	for _, record := range records {
		if reason := unusable(record, seen); reason != "" {
			problems = append(problems, Problem{Path: record.Origin, Reason: reason})
			continue
		}
		if len(record.Repairs) > 0 {
			problems = append(problems, Problem{Path: record.Origin, Warning: true, Reason: Repaired(record.Repairs) + "; store it as PEM with its line breaks, or as base64 of that in one line"})
		}
		key := record.Key // a copy: records are shared with their source's cache
		keys = append(keys, &key)
		switch key.State {
		case Stateless:
			key.State = Active
			stateless = append(stateless, &key)
			active = append(active, &key)
		case Active:
			active = append(active, &key)
		case Prepared, Retired:
		}
	}
	slices.SortFunc(keys, func(a, b *Key) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if len(stateless) > 1 {
		return Keyset{}, problems, fmt.Errorf("%w: %s", ErrSeveralStateless, origins(stateless))
	}
	return Keyset{Keys: keys}, append(problems, overrule(active)...), nil
}

// unusable returns why a record makes no key, and notes those that do in seen.
func unusable(record Record, seen map[playback.KeyID]string) string {
	switch {
	case record.Refused != nil:
		return record.Refused.Error()
	case !record.ID.Valid():
		return fmt.Sprintf("%.140q is not a key ID; want 1 to 128 letters, digits, _ and -", record.ID)
	case record.Private == nil && record.Remote == nil:
		return "has no private key"
	case !slices.Contains([]State{Stateless, Prepared, Active, Retired}, record.State):
		return fmt.Sprintf("has the unknown state %.40q", record.State)
	}
	if _, broken := record.primesChecked(); broken != nil {
		return broken.Error()
	}
	if first, twice := seen[record.ID]; twice {
		return "has the same ID as " + first
	}
	seen[record.ID] = record.Origin
	return ""
}

// overrule leaves one of the active keys active and retires the others.
func overrule(active []*Key) []Problem {
	if len(active) < 2 {
		return nil
	}
	slices.SortFunc(active, func(a, b *Key) int { // the one that signs comes first
		if c := b.ActivatedAt.Compare(a.ActivatedAt); c != 0 {
			return c
		}
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(string(b.ID), string(a.ID))
	})
	var problems []Problem
	for _, key := range active[1:] {
		key.State = Retired
		why := "the one activated last signs"
		if key.ActivatedAt.Equal(active[0].ActivatedAt) {
			why = "neither was activated later, so the one created last, or with the greater ID, signs (activated_at chooses)"
		}
		problems = append(problems, Problem{
			Path:   key.Origin,
			Reason: fmt.Sprintf("is active beside %s; %s, and this one counts as retired", active[0].Origin, why),
			// An activation writes the new key's state, and then that of the one before.
			Passing: !key.ActivatedAt.Equal(active[0].ActivatedAt),
		})
	}
	return problems
}

func origins(keys []*Key) string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Origin
	}
	slices.Sort(names)
	return strings.Join(names, ", ") + `; give each a state: {"state":"active"}, "prepared" or "retired"`
}
