package signingkey

import (
	"context"
	"errors"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Mux is Mux's API, with an environment's access token. Its errors that are a
// *playback.Error are passed on as they are.
type Mux interface {
	// Create makes a key. An ErrUnknownOutcome says that it may have been made.
	Create(ctx context.Context) (MuxKey, error)
	// List returns all keys, without their private halves.
	List(ctx context.Context) ([]MuxKey, error)
	// Delete deletes a key, and with it every token that it signed. No key is no
	// error. ErrRefused.
	Delete(ctx context.Context, id playback.KeyID) error
}

// ErrRefused is returned by Mux.Delete, with the cause, if Mux will not delete
// the key however often it is asked. Nothing has changed.
var ErrRefused = errors.New("refused for good")

// ErrUnknownOutcome is returned by Mux.Create if nobody can tell whether a key
// was made. The operation stays in the journal until that can be told.
var ErrUnknownOutcome = errors.New("a key may have been made")

// MuxKey is a key as Mux answers.
type MuxKey struct {
	ID         playback.KeyID
	CreatedAt  time.Time       // zero: unknown
	PrivateKey playback.Secret // base64 of PEM; only when the key is made
}

// Settings are those of one environment's keys.
type Settings struct {
	keystore.Terms
	RotateEvery time.Duration // 0: there is no scheduled rotation
	RetireAfter time.Duration // 0: retired keys are not deleted by schedule
	// Mux makes the keys. nil: only local keys can be made.
	Mux Mux
	// LocalRotation allows the schedule to make local keys, because verifiers
	// other than Mux have the last word.
	LocalRotation bool
}

// LeftAtMux reports whether a deletion leaves a key at Mux, where it goes on
// verifying, because there is no access to delete it with.
func (s Settings) LeftAtMux() bool { return s.Mux == nil && !s.LocalRotation }

// Ledger knows what was handed out.
type Ledger interface {
	// LastExpiry returns the latest exp handed out under a key; zero: of none is
	// known. complete: nobody else has handed out any.
	LastExpiry(env playback.EnvironmentID, key playback.KeyID) (last time.Time, complete bool)
}

// Status is a key as operators see it.
type Status struct {
	ID          playback.KeyID
	State       keystore.State
	CreatedAt   time.Time // zero: unknown, and so is since when it is in the store
	ActivatedAt time.Time // zero: unknown, or never active
	RetiredAt   time.Time // zero: unknown, or not retired
	LastExpiry  time.Time // zero: of none is known
	// DeletableAt is from when on no token of the key is valid; zero: unknown,
	// or the key is not retired.
	DeletableAt time.Time
	External    bool // see keystore.Life
}

// Order is what somebody asks to be done with a key.
type Order struct {
	Environment playback.EnvironmentID
	Key         playback.KeyID
	By          string // who asks, for the audit record
	RequestID   string // "": no request
	// Force does it before its time. It takes a Reason, which is audited; it is
	// no way to delete the active key, or to bring a retired one back.
	Force  bool
	Reason string
}

// Creation asks for a new key.
type Creation struct {
	Environment playback.EnvironmentID
	By          string // who asks, for the audit record
	RequestID   string // "": no request
	// Local makes the key here: Mux does not know it and refuses what it signs.
	Local bool
	// External: the private half is handed out.
	External bool
}

// Created is a new key, with its private half.
type Created struct {
	Status
	PrivateKey playback.Secret // base64 of PEM
}

// Imported is a key that was brought in.
type Imported struct {
	Status
	Repairs []string // what keystore.Parse has repaired in its material
}

// Import brings in a key from elsewhere, so that it is external.
type Import struct {
	Environment playback.EnvironmentID
	Key         playback.KeyID
	By          string          // who asks, for the audit record
	Material    playback.Secret // whatever keystore.Parse accepts
}
