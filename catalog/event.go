package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// EventOutcome is what became of a webhook.
type EventOutcome string

// The outcomes.
const (
	EventApplied   EventOutcome = "applied"   // the catalogue knows what it said, if not alone (joinTied)
	EventStale     EventOutcome = "stale"     // a newer one was there
	EventChecked   EventOutcome = "checked"   // it said too little; Mux will be asked
	EventIgnored   EventOutcome = "ignored"   // nothing here depends on its type
	EventDuplicate EventOutcome = "duplicate" // it was taken before
	EventRefused   EventOutcome = "refused"   // it was not signed, not ours or none
	EventFull      EventOutcome = "full"      // it was not taken: too much is to be asked of Mux already
	EventFailed    EventOutcome = "error"     // the store does not answer
)

// The webhook is refused because of what it says.
var (
	ErrEvent            = errors.New("this is not a webhook of Mux")
	ErrEventEnvironment = errors.New("the webhook is another environment's")
)

// maxEventID bounds the ID of an event; Mux's are UUIDs.
const maxEventID = 128

// envelope is a webhook (mux.md §7), as far as it matters here.
type envelope struct {
	Type      string    `json:"type"`
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	Object    struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	} `json:"object"`
	Environment struct {
		ID string `json:"id"`
	} `json:"environment"`
	Data json.RawMessage `json:"data"`
}

// maxJobs bounds the objects of an environment that Mux is still to be asked about
// because of webhooks. Mux answers five requests a second, so these take half an
// hour.
const maxJobs = 10_000

// Inbox is where one environment's webhooks go, their signatures verified.
type Inbox struct {
	Environment playback.EnvironmentID
	// MuxEnvironment is Mux's ID of the environment that webhooks must be of; ""
	// is any.
	MuxEnvironment string
	Library        *Library
	// Outbox keeps the jobs that have Mux asked about an object (CheckJob), in the
	// store that Library has; nil: Mux cannot be asked.
	Outbox store.Outbox
	// Wake tells who does the jobs that there is one; nil: they look for themselves.
	Wake func()
	Now  func() time.Time
	// Steady is a clock that nobody sets, for Outbox.
	Steady func() time.Time
}

// Take takes one webhook over. It is durable when Take returns, with what is left
// to be done because of it; an error that is neither ErrEvent nor
// ErrEventEnvironment means that Mux must send it again. store.ErrOutboxFull: too
// much is left to be done already.
func (b *Inbox) Take(ctx context.Context, body []byte) (EventOutcome, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return "", fmt.Errorf("%w: %w", ErrEvent, err)
	}
	switch {
	case e.ID == "" || e.Type == "" || e.CreatedAt.IsZero():
		return "", fmt.Errorf("%w: type, id or created_at is missing", ErrEvent)
	case len(e.ID) > maxEventID || strings.ContainsFunc(e.ID, unicode.IsControl):
		// No store need keep what cannot be a UUID: PostgreSQL has no NUL in texts.
		return "", fmt.Errorf("%w: want an id of 1 to %d characters, none of control", ErrEvent, maxEventID)
	case b.MuxEnvironment != "" && e.Environment.ID != b.MuxEnvironment:
		return "", fmt.Errorf("%w: environment.id is %.80q, mux.environment_id is %q", ErrEventEnvironment, e.Environment.ID, b.MuxEnvironment)
	}
	kind, id, meaning := e.meaning()
	event := &store.Event{Environment: b.Environment, ID: e.ID, At: b.Now()}
	if meaning == EventApplied {
		return b.write(ctx, event, kind, &e)
	}
	if meaning == EventIgnored {
		return EventIgnored, nil
	}
	if b.Outbox != nil {
		event.Work = b.check(target{kind, id}, e.CreatedAt)
	}
	fresh, err := b.Library.Write(ctx, event, nil)
	switch {
	case err != nil || !fresh:
		return EventDuplicate, err
	case b.Outbox == nil:
		return EventIgnored, nil
	}
	b.wake()
	return EventChecked, nil
}

func (b *Inbox) write(ctx context.Context, event *store.Event, kind store.Kind, e *envelope) (EventOutcome, error) {
	o := store.Object{Kind: kind, ID: e.Object.ID, Deleted: true}
	if !strings.HasSuffix(e.Type, ".deleted") {
		described, err := describe(kind, e.Data)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrEvent, err)
		}
		o = described
	}
	o.Environment, o.Version = b.Environment, e.CreatedAt.UnixMicro()
	applied, fresh, err := b.Library.store.Apply(ctx, event, []store.Object{o}, joinTied)
	if err != nil {
		return "", err
	}
	// Whoever took this event, or a newer one, may have been another replica: who
	// answers knows what it says.
	if err := b.Library.Follow(ctx); err != nil {
		return "", err
	}
	object := target{kind, o.ID}
	tied := b.Library.tiedAt(b.Environment, object, o.Version)
	if tied && b.Outbox != nil {
		// A tie is durable by itself, and asked about with every sweep; the job is for
		// an answer at once. So one that does not fit is no reason to refuse what the
		// webhook says.
		err := b.Outbox.AddJobs(ctx, b.check(object, e.CreatedAt))
		if err != nil && !errors.Is(err, store.ErrOutboxFull) {
			return "", err
		}
		b.wake()
	}
	switch {
	case !fresh:
		return EventDuplicate, nil
	case !applied[0] && !tied:
		return EventStale, nil
	}
	return EventApplied, nil
}

// check has Mux asked about an object.
func (b *Inbox) check(t target, since time.Time) store.JobBatch {
	return store.JobBatch{Jobs: []store.Job{checkJob(b.Environment, t, since)}, Max: maxJobs, Now: b.Steady()}
}

func (b *Inbox) wake() {
	if b.Wake != nil {
		b.Wake()
	}
}

// wholeAsset and wholeStream are the events whose data is the whole object.
func wholeAsset() []string {
	return []string{"created", "ready", "errored", "updated", "deleted", "live_stream_completed"}
}

func wholeStream() []string {
	return []string{"created", "connected", "recording", "active", "disconnected", "idle", "updated", "enabled", "disabled", "deleted"}
}

// meaning says what to do with an event: take its data over, ask Mux about an
// object of which it tells only a part, or nothing.
func (e *envelope) meaning() (store.Kind, string, EventOutcome) {
	if what, ok := strings.CutPrefix(e.Type, "video.asset."); ok {
		return e.about(store.Asset, slices.Contains(wholeAsset(), what))
	}
	if what, ok := strings.CutPrefix(e.Type, "video.live_stream."); ok {
		return e.about(store.LiveStream, slices.Contains(wholeStream(), what))
	}
	if e.Type == "video.upload.asset_created" {
		var upload struct {
			AssetID string `json:"asset_id"`
		}
		if json.Unmarshal(e.Data, &upload) == nil && playback.AssetID(upload.AssetID).Valid() {
			return store.Asset, upload.AssetID, EventChecked
		}
	}
	return "", "", EventIgnored
}

// about decides by whether the event's data is its object.
func (e *envelope) about(kind store.Kind, whole bool) (store.Kind, string, EventOutcome) {
	var data struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		data.ID = ""
	}
	id := e.Object.ID
	if id == "" && whole {
		id = data.ID
		e.Object.ID = id
	}
	ours := e.Object.Type == "" || e.Object.Type == string(kind) || kind == store.LiveStream && e.Object.Type == "live"
	switch {
	case !playback.AssetID(id).Valid() || !ours:
		return "", "", EventIgnored
	case whole && (data.ID == id || strings.HasSuffix(e.Type, ".deleted")):
		return kind, id, EventApplied
	}
	return kind, id, EventChecked
}
