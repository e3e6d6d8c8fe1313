package keystore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/playgate/playgate/playback"
)

// Errors of a Keeper. They are wrapped with what they are about.
var (
	ErrExists  = errors.New("there is a key with this ID already")
	ErrNoKey   = errors.New("there is no such key")
	ErrChanged = errors.New("somebody else keeps changing it")
	ErrBusy    = errors.New("another operation on the environment's keys is under way")
)

// Keeper is a Source that can be written to. Every implementation passes
// keystoretest.RunKeeper. What is written is durable when a method returns, and
// the next Load of any process sees it. All methods end soon after ctx does; an
// error other than those below means that the outcome is not known.
type Keeper interface {
	Source
	// Create stores a new key. ErrExists: the ID is taken, also by a key that is
	// withdrawn but could come back; nothing has changed.
	Create(ctx context.Context, env playback.EnvironmentID, key NewKey) error
	// Change replaces what is known of a key's life by what f makes of it: read,
	// compare, set. f may be called more than once; its error is returned as it
	// is, with nothing changed. ErrNoKey, ErrChanged.
	Change(ctx context.Context, env playback.EnvironmentID, id playback.KeyID, f func(Life) (Life, error)) error
	// Delete removes a key with all its versions, for good. No key is no error.
	Delete(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) error
	// Withdrawn reports whether a key that Load does not return is still there,
	// so that it takes its ID and could come back, and since when it is
	// withdrawn; zero: unknown.
	Withdrawn(ctx context.Context, env playback.EnvironmentID, id playback.KeyID) (since time.Time, is bool, err error)

	// Journal returns the operation under way in the environment, if one is.
	Journal(ctx context.Context, env playback.EnvironmentID) (Entry, bool, error)
	// OpenJournal notes an operation before it begins. ErrBusy: there is one, in
	// any process; nothing has changed.
	OpenJournal(ctx context.Context, env playback.EnvironmentID, entry Entry) error
	// ReplaceJournal replaces the entry from by to, so that one process alone
	// takes over what another has left. ErrChanged: the journal holds something
	// else than from, or nothing.
	ReplaceJournal(ctx context.Context, env playback.EnvironmentID, from, to Entry) error
	// CloseJournal ends the operation. ErrChanged: the journal holds something
	// else; none is no error.
	CloseJournal(ctx context.Context, env playback.EnvironmentID, entry Entry) error
}

// NewKey is a key to be stored. It redacts itself wherever it could be printed.
type NewKey struct {
	ID   playback.KeyID
	PEM  []byte // whatever Parse accepts
	Life Life
}

// Check returns why the key cannot be stored, nil if it can: a keeper holds
// nothing that Load would refuse.
func (k NewKey) Check() error {
	if !k.ID.Valid() {
		return fmt.Errorf("%.140q is not a key ID; want 1 to 128 letters, digits, _ and -", k.ID)
	}
	if !slices.Contains([]State{Prepared, Active, Retired}, k.Life.State) {
		return fmt.Errorf("%.40q is no state of a new key; want prepared, active or retired", k.Life.State)
	}
	if _, _, err := Parse(k.PEM); err != nil {
		return fmt.Errorf("the key %w", err)
	}
	return nil
}

// Format names the key, never its material, whatever the verb and flags.
func (k NewKey) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "new signing key %s (%s)", k.ID, k.Life.State) // fmt offers no way to report it
}

// MarshalText names the key like Format, for encoders and loggers.
func (k NewKey) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%v", k), nil }

// Entry is an operation on an environment's keys that has begun and must be
// finished, or undone, whatever happens to the process. It holds no secret.
type Entry struct {
	Operation string         `json:"operation"`
	ID        playback.KeyID `json:"id,omitempty"` // "": not known yet
	StartedAt time.Time      `json:"started_at"`
	// Known are the keys that Mux had before, for an operation that makes one.
	Known []playback.KeyID `json:"known,omitempty"`
	// Host names the process that carries it out, for people and for telling
	// whether it is alive; it gives up at Until.
	Host  string    `json:"host"`
	Until time.Time `json:"until"`
	// Ended is when it was first seen that nobody carries it out any more; zero:
	// not yet. What the process has sent may arrive for a while after that.
	Ended time.Time `json:"ended,omitzero"`
	// By asked for it, and perhaps forced it for a Reason: what the audit record
	// says of it if somebody else finishes it.
	By     string `json:"by,omitempty"`
	Forced bool   `json:"forced,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Equal reports whether both are the same entry of the journal.
func (e Entry) Equal(other Entry) bool {
	return e.Operation == other.Operation && e.ID == other.ID && e.StartedAt.Equal(other.StartedAt) &&
		slices.Equal(e.Known, other.Known) && e.Host == other.Host && e.Until.Equal(other.Until) && e.Ended.Equal(other.Ended) &&
		e.By == other.By && e.Forced == other.Forced && e.Reason == other.Reason
}
