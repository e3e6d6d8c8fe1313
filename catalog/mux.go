package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// ErrGone says that Mux has no such thing.
var ErrGone = errors.New("there is no such object at Mux")

// Mux is what the catalogue asks Mux's API, in the name of one environment. An
// error that is not ErrGone means that nothing is known.
type Mux interface {
	// Object returns an asset or a live stream as it is now.
	Object(ctx context.Context, kind store.Kind, id string) (Said, error)
	// Owner returns whose a playback ID is.
	Owner(ctx context.Context, id playback.ID) (kind store.Kind, owner string, err error)
	// Page returns some assets or live streams, and the cursor of the next page,
	// "" if there is none. The cursor of the first is "".
	Page(ctx context.Context, kind store.Kind, cursor string) (Page, error)
}

// Said is an object as Mux sent it.
type Said struct {
	Data json.RawMessage
	At   time.Time // when it was so at the latest, by Mux's clock
}

// Page is one of a list.
type Page struct {
	Objects []json.RawMessage
	At      time.Time
	Next    string
}

// ask returns an object as a record. One that Mux does not have is a record
// without playback IDs, and not a deleted one: deletion is final, and a wrong
// base URL answers 404, too.
func (s *Syncer) ask(ctx context.Context, mux Mux, t target) (o store.Object, found bool, err error) {
	at := s.cfg.Now()
	said, err := mux.Object(ctx, t.kind, t.id)
	if errors.Is(err, ErrGone) {
		return store.Object{Kind: t.kind, ID: t.id, Version: versionOf(at), Data: []byte("{}")}, false, nil
	}
	if err != nil {
		return store.Object{}, false, err
	}
	o, err = describe(t.kind, said.Data)
	if err == nil && o.ID != t.id {
		err = fmt.Errorf("asking Mux: it was asked for %s %s and answered with %s", t.kind, t.id, o.ID)
	}
	o.Version = versionOf(said.At)
	return o, true, err
}

// versionOf returns the version of what Mux answered. Whole seconds, like Mux's
// own clock in a Date and in webhooks: in the second in which something was
// changed, an answer with a fraction would count as newer than the webhook that
// tells of the change.
func versionOf(at time.Time) int64 { return at.Truncate(time.Second).UnixMicro() }
