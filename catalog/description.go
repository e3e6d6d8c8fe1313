package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// description is what Mux says of an asset or a live stream beside its playback
// IDs, as far as it matters here, in the form in which it is kept.
type description struct {
	// Tied: it joins reports of one moment that disagree (joinTied). It comes
	// first: see tiedMark.
	Tied         bool                  `json:"tied,omitempty"`
	Policies     []playback.Policy     `json:"policies,omitempty"` // of the playback IDs, in their order
	Status       string                `json:"status,omitempty"`
	Duration     float64               `json:"duration,omitempty"`
	Passthrough  string                `json:"passthrough,omitempty"`
	Meta         map[string]any        `json:"meta,omitempty"`
	CreatedAt    int64                 `json:"created_at,omitempty"` // Unix seconds
	LiveStreamID playback.LiveStreamID `json:"live_stream_id,omitempty"`
}

// maxDescription bounds what is kept of one object, bytes. Mux's own limits
// keep objects far below, unless they have hundreds of playback IDs.
const maxDescription = 256 << 10

// muxObject is an asset or a live stream as Mux sends it. created_at is a
// string of Unix seconds in the API and a number in webhooks (mux.md §6).
type muxObject struct {
	ID           string         `json:"id"`
	Status       string         `json:"status"`
	Duration     float64        `json:"duration"`
	Passthrough  string         `json:"passthrough"`
	Meta         map[string]any `json:"meta"`
	CreatedAt    any            `json:"created_at"`
	LiveStreamID string         `json:"live_stream_id"`
	PlaybackIDs  []struct {
		ID     playback.ID     `json:"id"`
		Policy playback.Policy `json:"policy"`
	} `json:"playback_ids"`
}

// describe makes a record of what Mux sent. Playback IDs that are ill-formed or
// of a policy that is not known are left out: no token could be made for them.
func describe(kind store.Kind, raw []byte) (store.Object, error) {
	var m muxObject
	if err := json.Unmarshal(raw, &m); err != nil {
		return store.Object{}, fmt.Errorf("reading Mux's object: %w", err)
	}
	if !playback.AssetID(m.ID).Valid() {
		return store.Object{}, fmt.Errorf("%.80q is not the ID of an object of Mux", m.ID)
	}
	d := description{
		Status: m.Status, Passthrough: m.Passthrough, Meta: m.Meta, Duration: max(0, m.Duration), CreatedAt: unixSeconds(m.CreatedAt),
	}
	if id := playback.LiveStreamID(m.LiveStreamID); kind == store.Asset && id.Valid() {
		d.LiveStreamID = id
	}
	o := store.Object{Kind: kind, ID: m.ID}
	for _, p := range m.PlaybackIDs {
		switch p.Policy {
		case playback.PolicyPublic, playback.PolicySigned, playback.PolicyDRM:
			if p.ID.Valid() {
				o.PlaybackIDs, d.Policies = append(o.PlaybackIDs, p.ID), append(d.Policies, p.Policy)
			}
		}
	}
	data, err := json.Marshal(d)
	if err == nil && len(data) > maxDescription {
		err = errors.New("it is too large")
	}
	if err != nil {
		return store.Object{}, fmt.Errorf("keeping Mux's %s %s: %w", kind, m.ID, err)
	}
	o.Data = data
	return o, nil
}

func unixSeconds(v any) int64 {
	switch v := v.(type) {
	case float64:
		return int64(v)
	case string:
		seconds, _ := strconv.ParseInt(v, 10, 64) // 0: unknown
		return seconds
	}
	return 0
}

func (d *description) createdAt() time.Time {
	if d.CreatedAt == 0 {
		return time.Time{}
	}
	return time.Unix(d.CreatedAt, 0).UTC()
}
