package store

import (
	"context"
	"errors"
	"time"

	"github.com/playgate/playgate/playback"
)

// ErrNotFound says that there is no such record.
var ErrNotFound = errors.New("there is no such record")

// ErrOtherViewer says that the grant of an ID is another viewer's.
var ErrOtherViewer = errors.New("the grant is another viewer's")

// ErrTooManyGrants says that the viewer has as many grants as they may.
var ErrTooManyGrants = errors.New("the viewer has too many grants")

// Store is everything that a driver offers.
type Store interface {
	Catalogue
	Grants
	History
	Ledger
	Outbox
	Paces
	// Ping asks whether the store answers, and can be written: ErrNotWritable.
	Ping(ctx context.Context) error
	// Close gives back what the driver holds. Nothing is called afterwards.
	Close() error
}

// Kind is what an Object is at Mux.
type Kind string

// The kinds, in Mux's words.
const (
	Asset      Kind = "asset"
	LiveStream Kind = "live_stream"
	// PlaybackID is a playback ID that an object had and has no more: always
	// Deleted, and written by the store itself. An object that lists it again
	// counts all the same.
	PlaybackID Kind = "playback_id"
)

// Object is what Mux last said of an asset or a live stream, with its playback
// IDs.
type Object struct {
	Environment playback.EnvironmentID
	Kind        Kind
	ID          string
	// Version is when Mux said so, in Unix microseconds: of two, the larger
	// counts.
	Version int64
	// Deleted is final: whatever comes later, the object is gone.
	Deleted bool
	// PlaybackIDs are those that it has; none where Deleted.
	PlaybackIDs []playback.ID
	// Data is what else was said, in the catalogue's own JSON; nil where Deleted.
	Data []byte
	// Seq orders the changes of all objects, whatever wrote them: a change that
	// can be seen has a larger one than all that could be seen before it. The
	// store sets it.
	Seq int64
}

// Event names a webhook.
type Event struct {
	Environment playback.EnvironmentID
	ID          string
	At          time.Time // when it was taken, here
	// Work is what the event leaves to be done; it is added to the outbox in the
	// transaction that notes the event.
	Work JobBatch
}

// Catalogue keeps what Mux said of its objects.
type Catalogue interface {
	// Apply writes objects, and notes the event that told of them (nil: no
	// webhook did), with its jobs, in one transaction. fresh is false, and nothing
	// is written, if the event was noted before. ErrOutboxFull: there is no room
	// for its jobs, and nothing has changed. What is written is what Merge keeps, so that
	// the order of arrival does not matter; applied says which objects changed
	// what the store had. join may be nil where there are no objects.
	Apply(ctx context.Context, event *Event, objects []Object, join Join) (applied []bool, fresh bool, err error)
	// Changes calls yield with the objects whose Seq is larger, in its order,
	// deleted ones too: those of one environment, or of all if env is "". The
	// Object is yield's until it returns; Data may be kept.
	Changes(ctx context.Context, env playback.EnvironmentID, after int64, yield func(*Object) error) error
	// ForgetEvents forgets the events that were taken before.
	ForgetEvents(ctx context.Context, before time.Time) error
	// ClaimSync reports whether the caller is to read everything from Mux: nobody
	// has done so since the time that is due, and nobody is at it now. The claim
	// ends by itself.
	ClaimSync(ctx context.Context, env playback.EnvironmentID, c SyncClaim) (bool, error)
	// ExtendSync moves the end of a claim, for who is still at it.
	ExtendSync(ctx context.Context, env playback.EnvironmentID, until time.Time) error
	// EndSync ends a claim; done is when the reading began, zero if it came to
	// nothing.
	EndSync(ctx context.Context, env playback.EnvironmentID, done time.Time) error
}

// ClockError is how far the clocks of those who share a store are apart at most.
// A moment that is further ahead was noted by a clock that was wrong, and does not
// count: otherwise nothing would be read, and nobody have a turn, until then.
const ClockError = 24 * time.Hour

// SyncClaim is the wish to read everything from Mux.
type SyncClaim struct {
	Due   time.Time // what was read before must be read again
	Now   time.Time
	Until time.Time // when the claim ends by itself
}

// Grant is what a viewer holds.
type Grant struct {
	Environment playback.EnvironmentID
	ID          string
	Issuer      string // the alias of the viewer's issuer
	Viewer      string // the viewer's ID there
	Type        string // subscription, purchase, rental, ticket
	ScopeKind   string // playback_id, asset_id, live_stream_id, tag, all
	ScopeID     string // "" for all
	From        time.Time
	Until       time.Time     // zero: without end
	PlayWithin  time.Duration // 0: none
	FirstPlay   time.Time     // zero: not yet; only StartPlay sets it
	Attributes  []byte        // a JSON object, nil for none
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// GrantHolder names a viewer in an environment.
type GrantHolder struct {
	Environment    playback.EnvironmentID
	Issuer, Viewer string
}

// GrantScope is what a grant is for, as Grant has it.
type GrantScope struct{ Kind, ID string }

// Grants keeps what viewers hold. Times are kept to the second, and come back
// in UTC; the zero time comes back as such.
type Grants interface {
	// PutGrant writes a grant, in place of the one of its ID if there is one.
	// CreatedAt stays then, and FirstPlay: writing a rental again does not start
	// it anew. One that is another viewer's stays as it is: ErrOtherViewer. One
	// that is new is not written, ErrTooManyGrants, where the viewer has as many
	// as the limit, in force or not, however many write at once. It returns what
	// is kept, and whether it is new.
	PutGrant(ctx context.Context, g *Grant, limit int) (kept Grant, created bool, err error)
	// Grant returns a grant, or ErrNotFound.
	Grant(ctx context.Context, env playback.EnvironmentID, id string) (Grant, error)
	// DeleteGrant removes a grant, or returns ErrNotFound.
	DeleteGrant(ctx context.Context, env playback.EnvironmentID, id string) error
	// GrantsOf returns a viewer's grants, by ID.
	GrantsOf(ctx context.Context, env playback.EnvironmentID, issuer, viewer string) ([]Grant, error)
	// GrantsFor returns those of a viewer's grants that have one of the scopes, by
	// ID.
	GrantsFor(ctx context.Context, h GrantHolder, scopes []GrantScope) ([]Grant, error)
	// GrantIssuers returns the aliases under which a viewer's ID has grants,
	// sorted.
	GrantIssuers(ctx context.Context, env playback.EnvironmentID, viewer string) ([]string, error)
	// StartPlay notes when a grant was first used, unless it was used before,
	// and returns the time that counts: one, however many ask at once. A grant
	// that is gone is ErrNotFound.
	StartPlay(ctx context.Context, env playback.EnvironmentID, id string, at time.Time) (time.Time, error)
}

// Expiry is the latest end of the tokens that a key signed.
type Expiry struct {
	Environment playback.EnvironmentID
	Key         playback.KeyID
	Exp         int64 // Unix seconds
}

// Ledger keeps until when tokens were handed out under each signing key.
type Ledger interface {
	// RaiseExpiries writes each, unless a later one is there.
	RaiseExpiries(ctx context.Context, list []Expiry) error
	// Expiry returns the latest, 0 for a key that is not known.
	Expiry(ctx context.Context, env playback.EnvironmentID, key playback.KeyID) (int64, error)
}

// Paces spaces out what all who share the store do together.
type Paces interface {
	// Turn takes the next turn and returns how long it is until then. If that is
	// longer than the caller has time for, none is taken: ErrNoTurn.
	Turn(ctx context.Context, t Turn) (time.Duration, error)
}

// ErrNoTurn says that there is no turn as soon as it was wanted.
var ErrNoTurn = errors.New("there is no turn in time")

// Turn is the wish for a turn.
type Turn struct {
	Name   string        // those of one name share their turns
	Every  time.Duration // until the next one after it
	Now    time.Time     // where the store has no clock of its own, which all agree on
	Within time.Duration // the longest wait
}
