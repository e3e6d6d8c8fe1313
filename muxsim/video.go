package muxsim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const videoPrefix = "/video/v1/"

// Asset is an asset as the API shows it.
type Asset struct {
	ID          AssetID
	Status      string // preparing, ready, errored; "" is ready
	Duration    float64
	Passthrough string
	Meta        map[string]any
	CreatedAt   time.Time
	LiveStream  LiveStreamID // that it records, "" none
	PlaybackIDs []ObjectPlaybackID
}

// LiveStream is a live stream as the API shows it.
type LiveStream struct {
	ID          LiveStreamID
	Status      string // idle, active, disabled; "" is active
	ActiveAsset AssetID
	CreatedAt   time.Time
	PlaybackIDs []ObjectPlaybackID
}

// ObjectPlaybackID is a playback ID of an asset or a live stream.
type ObjectPlaybackID struct {
	ID     ID     `json:"id"`
	Policy Policy `json:"policy"`
}

// video is what the Video API of an environment knows.
type video struct {
	mu      *sync.RWMutex // guards the maps; what they hold is never written to
	assets  map[AssetID]*Asset
	streams map[LiveStreamID]*LiveStream
}

func newVideo() video {
	return video{new(sync.RWMutex), map[AssetID]*Asset{}, map[LiveStreamID]*LiveStream{}}
}

// add adds what an Environment lists under a playback ID.
func (v *video) add(p *PlaybackID, now time.Time) {
	id := ObjectPlaybackID{p.ID, p.Policy}
	if p.LiveStream != "" {
		s := LiveStream{ID: p.LiveStream, CreatedAt: now}
		if have := v.streams[s.ID]; have != nil {
			s = *have
		}
		s.Status, s.PlaybackIDs = p.Status, append(slices.Clip(s.PlaybackIDs), id)
		v.streams[s.ID] = &s
		return
	}
	a := Asset{ID: p.Asset, CreatedAt: now}
	if have := v.assets[a.ID]; have != nil {
		a = *have
	}
	a.Status, a.PlaybackIDs = p.Status, append(slices.Clip(a.PlaybackIDs), id)
	v.assets[a.ID] = &a
}

// SetAsset makes an asset what it is given as, at the API and at the edge, where
// new playback IDs play the film. No webhook is sent: see Webhook.
func (s *Sim) SetAsset(env EnvironmentID, a Asset) error {
	r, ok := s.realms[env]
	if !ok {
		return fmt.Errorf("no such environment: %q", env)
	}
	r.video.mu.Lock()
	var before []ObjectPlaybackID
	if have := r.video.assets[a.ID]; have != nil {
		before = have.PlaybackIDs
	}
	r.video.assets[a.ID] = &a
	r.video.mu.Unlock()
	return s.replace(r, before, a.PlaybackIDs, PlaybackID{Asset: a.ID, Status: a.Status})
}

// DeleteAsset removes an asset with its playback IDs.
func (s *Sim) DeleteAsset(env EnvironmentID, id AssetID) error {
	r, ok := s.realms[env]
	if !ok {
		return fmt.Errorf("no such environment: %q", env)
	}
	r.video.mu.Lock()
	have := r.video.assets[id]
	delete(r.video.assets, id)
	r.video.mu.Unlock()
	if have == nil {
		return fmt.Errorf("no such asset: %q", id)
	}
	return s.replace(r, have.PlaybackIDs, nil, PlaybackID{})
}

// SetLiveStream is SetAsset for live streams.
func (s *Sim) SetLiveStream(env EnvironmentID, l LiveStream) error {
	r, ok := s.realms[env]
	if !ok {
		return fmt.Errorf("no such environment: %q", env)
	}
	r.video.mu.Lock()
	var before []ObjectPlaybackID
	if have := r.video.streams[l.ID]; have != nil {
		before = have.PlaybackIDs
	}
	r.video.streams[l.ID] = &l
	r.video.mu.Unlock()
	return s.replace(r, before, l.PlaybackIDs, PlaybackID{LiveStream: l.ID, Status: l.Status})
}

// replace makes the edge serve other playback IDs of one object; p is what they
// have in common.
func (s *Sim) replace(r *realm, before, after []ObjectPlaybackID, p PlaybackID) (err error) {
	s.change(func(objects map[ID]*object) {
		views := map[ID]*atomic.Uint64{}
		for _, old := range before {
			if o := objects[old.ID]; o != nil && o.realm == r {
				views[old.ID] = o.views
				delete(objects, old.ID)
			}
		}
		for _, id := range after {
			p.ID, p.Policy = id.ID, id.Policy
			if !p.ID.Valid() || objects[p.ID] != nil {
				err = errors.Join(err, fmt.Errorf("playback ID %q is ill-formed or repeated", p.ID))
				continue
			}
			o := &object{PlaybackID: p, realm: r, clip: s.clips[p.Media], views: views[id.ID]}
			if o.views == nil {
				o.views = new(atomic.Uint64)
			}
			objects[p.ID] = o
		}
	})
	return err
}

// show writes an asset as the API does; webhooks differ in created_at.
func (a *Asset) show(created any) map[string]any {
	out := map[string]any{
		"id": a.ID, "status": cmp.Or(a.Status, AssetReady), "created_at": created, "video_quality": "plus", "max_resolution_tier": "1080p",
	}
	ids(out, a.PlaybackIDs)
	if a.Duration > 0 {
		out["duration"] = a.Duration
	}
	if a.Passthrough != "" {
		out["passthrough"] = a.Passthrough
	}
	if a.Meta != nil {
		out["meta"] = a.Meta
	}
	if a.LiveStream != "" {
		out["live_stream_id"] = a.LiveStream
	}
	return out
}

func (l *LiveStream) show(created any) map[string]any {
	out := map[string]any{
		"id": l.ID, "status": cmp.Or(l.Status, LiveStreamActive), "created_at": created, "latency_mode": "standard",
		"stream_key": "simulated", "reconnect_window": 60,
	}
	ids(out, l.PlaybackIDs)
	if l.ActiveAsset != "" {
		out["active_asset_id"] = l.ActiveAsset
	}
	return out
}

// ids leaves playback_ids out where there are none, which may be how Mux does
// it (UNVERIFIED) and is the harder reading for whoever is to notice.
func ids(out map[string]any, list []ObjectPlaybackID) {
	if len(list) > 0 {
		out["playback_ids"] = list
	}
}

func inAPI(t time.Time) any { return strconv.FormatInt(t.Unix(), 10) }

// serveVideo answers GET on assets, live streams and playback IDs.
func (t *accessToken) serveVideo(w http.ResponseWriter, r *http.Request) {
	kind, id, one := strings.Cut(strings.TrimPrefix(r.URL.Path, videoPrefix), "/")
	v := &t.realm.video
	switch {
	case !slices.Contains(t.Permissions, "video:read"):
		writeEnvelope(w, http.StatusUnauthorized, "unauthorized", "Unauthorized request")
	case r.Method != http.MethodGet:
		writeEnvelope(w, http.StatusMethodNotAllowed, "method_not_allowed", "No such method")
	case kind == "assets" && one:
		show(w, v.asset(AssetID(id)))
	case kind == "live-streams" && one:
		show(w, v.stream(LiveStreamID(id)))
	case kind == "playback-ids" && one:
		show(w, v.owner(ID(id)))
	case kind == "assets":
		list(w, r, v.allAssets(), true)
	case kind == "live-streams":
		list(w, r, v.allStreams(), false)
	default:
		writeEnvelope(w, http.StatusNotFound, "not_found", "No such resource")
	}
}

func show(w http.ResponseWriter, object map[string]any) {
	if object == nil {
		writeEnvelope(w, http.StatusNotFound, "not_found", "No such object")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": object})
}

func (v *video) asset(id AssetID) map[string]any {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if a := v.assets[id]; a != nil {
		return a.show(inAPI(a.CreatedAt))
	}
	return nil
}

func (v *video) stream(id LiveStreamID) map[string]any {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if l := v.streams[id]; l != nil {
		return l.show(inAPI(l.CreatedAt))
	}
	return nil
}

// owner answers whose a playback ID is.
func (v *video) owner(id ID) map[string]any {
	v.mu.RLock()
	defer v.mu.RUnlock()
	find := func(list []ObjectPlaybackID, kind, owner string) map[string]any {
		for _, p := range list {
			if p.ID == id {
				return map[string]any{"id": p.ID, "policy": p.Policy, "object": map[string]string{"type": kind, "id": owner}}
			}
		}
		return nil
	}
	for _, a := range v.assets {
		if found := find(a.PlaybackIDs, "asset", string(a.ID)); found != nil {
			return found
		}
	}
	for _, l := range v.streams {
		if found := find(l.PlaybackIDs, "live_stream", string(l.ID)); found != nil {
			return found
		}
	}
	return nil
}

// listed is an object of a list, with what the list is sorted by.
type listed struct {
	at   time.Time
	id   string
	show map[string]any
}

func (v *video) allAssets() (out []listed) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, a := range v.assets {
		out = append(out, listed{a.CreatedAt, string(a.ID), a.show(inAPI(a.CreatedAt))})
	}
	return out
}

func (v *video) allStreams() (out []listed) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, l := range v.streams {
		out = append(out, listed{l.CreatedAt, string(l.ID), l.show(inAPI(l.CreatedAt))})
	}
	return out
}

// list answers a page, the newest first. Assets have a cursor, too, which is
// the last object's place.
func list(w http.ResponseWriter, r *http.Request, all []listed, cursors bool) {
	page, limit, ok := pageOf(w, r)
	if !ok {
		return
	}
	slices.SortFunc(all, func(a, b listed) int { return cmp.Or(b.at.Compare(a.at), strings.Compare(a.id, b.id)) })
	from := min((page-1)*limit, len(all))
	if after := r.URL.Query().Get("cursor"); cursors && after != "" {
		from = 1 + slices.IndexFunc(all, func(l listed) bool { return l.id == after })
	}
	shown := all[from:min(from+limit, len(all))]
	data := make([]map[string]any, len(shown))
	for i := range shown {
		data[i] = shown[i].show
	}
	answer := map[string]any{"data": data}
	if cursors {
		answer["next_cursor"] = nil
		if from+len(shown) < len(all) {
			answer["next_cursor"] = shown[len(shown)-1].id
		}
	}
	writeJSON(w, http.StatusOK, answer)
}
