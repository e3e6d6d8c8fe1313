package signingkey

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Config is what a Manager needs.
type Config struct {
	Keeper keystore.Keeper
	// Settings returns those of an environment, false if there is none.
	Settings func(playback.EnvironmentID) (Settings, bool)
	// Environments returns all that are configured, because several may share an
	// access to Mux; nil: there is but the one that is asked for.
	Environments func() []playback.EnvironmentID
	Ledger       Ledger // nil: nothing is known of what was handed out
	// Changed is called after an environment's keys have changed; may be nil.
	Changed func(context.Context, playback.EnvironmentID)
	// Audit gets one record per event of a key, never its material; nil: nobody
	// does.
	Audit *slog.Logger
	Now   func() time.Time
	// Process is this one, for the journal; the zero Process: the one that runs
	// this code.
	Process Process
}

// Manager changes environments' keys. Errors are *playback.Error.
type Manager struct {
	cfg Config
	// had are the environments that have had keys in the life of this process.
	had sync.Map
}

// NewManager returns a Manager.
func NewManager(cfg Config) *Manager {
	if cfg.Audit == nil {
		cfg.Audit = slog.New(slog.DiscardHandler)
	}
	if cfg.Changed == nil {
		cfg.Changed = func(context.Context, playback.EnvironmentID) {}
	}
	if cfg.Environments == nil {
		cfg.Environments = func() []playback.EnvironmentID { return nil }
	}
	if cfg.Process.Name == "" {
		cfg.Process = thisProcess()
	}
	return &Manager{cfg: cfg}
}

// holdings are an environment's keys as the store has them now.
type holdings struct {
	env      playback.EnvironmentID
	settings Settings
	keys     []*keystore.Key
	// overruled are the keys that the store has as active, but that count as
	// retired beside the one that signs.
	overruled []playback.KeyID
	// taken are the IDs of all keys in the store, also of unusable ones.
	taken []playback.KeyID
	// unusable are the states of keys that cannot be used, as far as they can be
	// read.
	unusable map[playback.KeyID]keystore.State
}

// load reads an environment's keys.
func (m *Manager) load(ctx context.Context, env playback.EnvironmentID) (*holdings, error) {
	settings, ok := m.cfg.Settings(env)
	if !ok {
		return nil, noEnvironment()
	}
	records, _, err := m.cfg.Keeper.Load(ctx, env)
	if err != nil {
		return nil, unavailable("The key store cannot be used.", fmt.Errorf("reading keyset: %w", err))
	}
	set, _, err := keystore.Assemble(records)
	if err != nil {
		return nil, playback.Errorf(playback.CodeKeyState, "%s", err.Error())
	}
	h := &holdings{env: env, settings: settings, keys: set.Keys, unusable: map[playback.KeyID]keystore.State{}}
	stored := make(map[playback.KeyID]keystore.State, len(records))
	for i := range records {
		h.taken = append(h.taken, records[i].ID)
		stored[records[i].ID] = records[i].State
		if records[i].Refused != nil {
			h.unusable[records[i].ID] = records[i].State
		}
	}
	for _, key := range set.Keys {
		if key.State == keystore.Retired && stored[key.ID] != keystore.Retired {
			h.overruled = append(h.overruled, key.ID)
		}
	}
	return h, nil
}

func (h *holdings) find(id playback.KeyID) (*keystore.Key, bool) {
	for _, key := range h.keys {
		if key.ID == id {
			return key, true
		}
	}
	return nil, false
}

func (h *holdings) active() (*keystore.Key, bool) { return keystore.Keyset{Keys: h.keys}.Active() }

// others returns the keys beside the given one that the store has as active.
func (h *holdings) others(id playback.KeyID) []playback.KeyID {
	others := slices.DeleteFunc(slices.Clone(h.overruled), func(other playback.KeyID) bool { return other == id })
	if active, ok := h.active(); ok && active.ID != id {
		others = append(others, active.ID)
	}
	return others
}

// List returns an environment's keys, sorted by ID.
func (m *Manager) List(ctx context.Context, env playback.EnvironmentID) ([]Status, error) {
	h, err := m.load(ctx, env)
	if err != nil {
		return nil, err
	}
	list := make([]Status, 0, len(h.keys))
	for _, key := range h.keys {
		list = append(list, m.status(h, key))
	}
	return list, nil
}

// Get returns one key.
func (m *Manager) Get(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) (Status, error) {
	h, err := m.load(ctx, env)
	if err != nil {
		return Status{}, err
	}
	key, ok := h.find(id)
	if !ok {
		return Status{}, noKey()
	}
	return m.status(h, key), nil
}

func (m *Manager) status(h *holdings, key *keystore.Key) Status {
	s := statusOf(key.ID, key.Life())
	if s.CreatedAt.IsZero() {
		s.CreatedAt = key.StoredAt
	}
	s.LastExpiry, _ = m.lastExpiry(h.env, key.ID)
	s.DeletableAt, _ = m.deletableAt(h, key)
	return s
}

func statusOf(id playback.KeyID, l keystore.Life) Status {
	return Status{ID: id, State: l.State, CreatedAt: l.CreatedAt, ActivatedAt: l.ActivatedAt, RetiredAt: l.RetiredAt, External: l.External}
}

func (m *Manager) lastExpiry(env playback.EnvironmentID, id playback.KeyID) (last time.Time, complete bool) {
	if m.cfg.Ledger == nil {
		return time.Time{}, false
	}
	return m.cfg.Ledger.LastExpiry(env, id)
}

// deletableAt returns from when on no token of a retired key is valid. That is
// what its life says, never before what is known to have been handed out, and
// exactly that where it is known to be all.
func (m *Manager) deletableAt(h *holdings, key *keystore.Key) (time.Time, bool) {
	at, known := h.settings.DeletableAt(key.Life())
	if !known {
		return time.Time{}, false
	}
	last, complete := m.lastExpiry(h.env, key.ID)
	switch {
	case last.After(at):
		return last, true
	case complete && !key.External && last.Before(key.RetiredAt):
		return key.RetiredAt, true
	case complete && !key.External:
		return last, true
	}
	return at, true
}

// stamp is the time of a change: the next full second, because that is what a
// state document holds, and a waiting time that counts from it must not be
// shorter than it says.
func (m *Manager) stamp() time.Time {
	return m.cfg.Now().Add(time.Second - 1).Truncate(time.Second).UTC()
}

func noEnvironment() *playback.Error {
	return playback.Errorf(playback.CodeNotFound, "There is no such environment.")
}

func noKey() *playback.Error {
	return playback.Errorf(playback.CodeNotFound, "There is no such signing key.")
}

// dependencyRetry is when to ask again what could not be done now.
const dependencyRetry = 5 * time.Second

func unavailable(message string, cause error) *playback.Error {
	return playback.Errorf(playback.CodeDependencyUnavailable, "%s", message).Because(cause).After(dependencyRetry)
}

// stored puts what a Keeper answered in the words of those who asked; nil stays
// nil.
func stored(err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*playback.Error](err); ok {
		return refused
	}
	transition, illegal := errors.AsType[*keystore.TransitionError](err)
	switch {
	case errors.Is(err, keystore.ErrNoKey):
		return noKey().Because(err)
	case errors.Is(err, keystore.ErrExists):
		return playback.Errorf(playback.CodeKeyState, "There is a signing key with this ID already.").Because(err)
	case errors.Is(err, keystore.ErrChanged), errors.Is(err, keystore.ErrBusy):
		return busy(keystore.Entry{}, dependencyRetry).Because(err)
	case illegal:
		return playback.Errorf(playback.CodeKeyState, "%s.", transition.Error()).Because(err)
	}
	return unavailable("The key store did not take the change.", err)
}

// audit puts an event on record.
func (m *Manager) audit(ctx context.Context, event string, env playback.EnvironmentID, attrs ...any) {
	m.cfg.Audit.InfoContext(ctx, "signing key event", append([]any{"audit", true, "event", event, "environment", env}, attrs...)...)
}
