package muxapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/playgate/playgate/playback"
)

// ErrNotFound says that Mux has no such object.
var ErrNotFound = errors.New("there is no such object at Mux")

// Object is an asset or a live stream as Mux sent it: what its members mean is
// for the catalogue.
type Object struct {
	Data json.RawMessage
	// At is a time at which it was so: the earlier of when it was asked for, by
	// the client's clock, and of when Mux answered, by Mux's, which dates webhooks,
	// too. Of an answer without a Date it is the former, less what the client's
	// clock was ahead when an answer last had one.
	At time.Time
}

// Objects is a page of a list of them.
type Objects struct {
	Data []json.RawMessage
	At   time.Time // as in Object
	// Next is what to ask for the next page with, "" after the last.
	Next string
}

// PlaybackID is whose a playback ID is.
type PlaybackID struct {
	ID     playback.ID     `json:"id"`
	Policy playback.Policy `json:"policy"`
	Object struct {
		Type string `json:"type"` // asset, live_stream
		ID   string `json:"id"`
	} `json:"object"`
}

const (
	assetsPath      = "/video/v1/assets"
	streamsPath     = "/video/v1/live-streams"
	playbackIDsPath = "/video/v1/playback-ids"
)

// GetAsset returns an asset, or ErrNotFound.
func (c *Client) GetAsset(ctx context.Context, id playback.AssetID) (Object, error) {
	if !id.Valid() {
		return Object{}, fmt.Errorf("asking for an asset: %.80q is no asset ID", id)
	}
	return c.object(ctx, "asking for asset "+string(id), assetsPath+"/"+string(id))
}

// GetLiveStream returns a live stream, or ErrNotFound.
func (c *Client) GetLiveStream(ctx context.Context, id playback.LiveStreamID) (Object, error) {
	if !id.Valid() {
		return Object{}, fmt.Errorf("asking for a live stream: %.80q is no live stream ID", id)
	}
	return c.object(ctx, "asking for live stream "+string(id), streamsPath+"/"+string(id))
}

// GetPlaybackID returns whose a playback ID is, or ErrNotFound.
func (c *Client) GetPlaybackID(ctx context.Context, id playback.ID) (PlaybackID, error) {
	op := "asking whose playback ID " + string(id) + " is"
	if !id.Valid() {
		return PlaybackID{}, fmt.Errorf("asking for a playback ID: %.80q is none", id)
	}
	o, err := c.object(ctx, op, playbackIDsPath+"/"+string(id))
	if err != nil {
		return PlaybackID{}, err
	}
	var p PlaybackID
	if err := json.Unmarshal(o.Data, &p); err != nil {
		return PlaybackID{}, fmt.Errorf("%s: reading Mux's answer: %w", op, err)
	}
	if p.ID != id {
		return PlaybackID{}, fmt.Errorf("%s: Mux answered with %.80q", op, p.ID)
	}
	return p, nil
}

// ListAssets returns a page of the environment's assets. next is that of the
// page before, "" for the first.
func (c *Client) ListAssets(ctx context.Context, next string) (Objects, error) {
	return c.list(ctx, "listing assets", assetsPath, next)
}

// ListLiveStreams returns a page of the environment's live streams, like
// ListAssets.
func (c *Client) ListLiveStreams(ctx context.Context, next string) (Objects, error) {
	return c.list(ctx, "listing live streams", streamsPath, next)
}

// got is what GET answered with, and when.
type got struct {
	*answer

	at time.Time
}

// get asks for a path of the Video API. An access token of another environment
// would not find anything.
func (c *Client) get(ctx context.Context, op, path string) (got, error) {
	if err := c.checkEnvironment(ctx); err != nil {
		return got{}, err
	}
	at := c.now()
	r, err := c.ask(ctx, op, http.MethodGet, path)
	if err != nil {
		return got{}, err
	}
	if r.date.IsZero() {
		at = at.Add(-time.Duration(c.ahead.Load()))
	} else if r.date.Before(at) {
		at = r.date
	}
	return got{r, at}, nil
}

func (c *Client) object(ctx context.Context, op, path string) (Object, error) {
	r, err := c.get(ctx, op, path)
	if err != nil {
		return Object{}, err
	}
	if r.status == http.StatusNotFound {
		return Object{}, fmt.Errorf("%w: %w", ErrNotFound, c.newError(op, r.answer))
	}
	if r.status != http.StatusOK {
		return Object{}, c.newError(op, r.answer)
	}
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal(r.body, &envelope); err != nil {
		return Object{}, fmt.Errorf("%s: reading Mux's answer: %w", op, err)
	}
	return Object{envelope.Data, r.at}, nil
}

// list asks for a page: by the cursor that the page before gave, where Mux has
// one (assets), else by number. A page that is not full may be one of a server
// with smaller pages, so the list ends with an empty one, or with a null cursor.
func (c *Client) list(ctx context.Context, op, path, next string) (Objects, error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	page, err := strconv.Atoi(next)
	switch {
	case next == "":
		page = 1
		query.Set("page", "1")
	case err == nil:
		query.Set("page", next)
	default:
		query.Set("cursor", next[1:]) // see below
	}
	r, err := c.get(ctx, op, path+"?"+query.Encode())
	if err != nil {
		return Objects{}, err
	}
	if r.status != http.StatusOK {
		return Objects{}, c.newError(op, r.answer)
	}
	var envelope struct {
		Data       []json.RawMessage `json:"data"`
		NextCursor string            `json:"next_cursor"`
	}
	if err := json.Unmarshal(r.body, &envelope); err != nil {
		return Objects{}, fmt.Errorf("%s: reading Mux's answer: %w", op, err)
	}
	out := Objects{Data: envelope.Data, At: r.at}
	switch {
	case len(envelope.Data) == 0:
	case envelope.NextCursor != "":
		out.Next = ":" + envelope.NextCursor // a colon tells it from a number
	case page > 0:
		out.Next = strconv.Itoa(page + 1)
	}
	return out, nil
}
