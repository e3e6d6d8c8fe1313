package memory

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

type (
	objectKey struct {
		env  playback.EnvironmentID
		kind store.Kind
		id   string
	}
	grantKey struct {
		env playback.EnvironmentID
		id  string
	}
	viewerKey struct {
		env            playback.EnvironmentID
		issuer, viewer string
	}
	signingKey struct {
		env playback.EnvironmentID
		key playback.KeyID
	}
	reading struct{ done, claimed time.Time }
)

type change struct {
	seq int64
	key objectKey
}

// Store is a store.Store in memory.
type Store struct {
	stamp int64 // of every checkpoint

	mu      sync.RWMutex // guards everything else
	seq     int64
	objects map[objectKey]store.Object
	log     []change // by seq; a later change of an object makes an earlier one void
	events  map[grantKey]time.Time
	syncs   map[playback.EnvironmentID]reading
	grants  map[grantKey]store.Grant
	held    map[viewerKey][]string // IDs of grants, sorted
	ledger  map[signingKey]int64
	paces   map[string]time.Time
	jobs    map[playback.EnvironmentID]map[jobKey]*job
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{
		stamp:   rand.Int64(), //nolint:gosec // only has to differ from other stores'
		objects: map[objectKey]store.Object{}, events: map[grantKey]time.Time{}, syncs: map[playback.EnvironmentID]reading{},
		grants: map[grantKey]store.Grant{}, held: map[viewerKey][]string{}, ledger: map[signingKey]int64{}, paces: map[string]time.Time{},
		jobs: map[playback.EnvironmentID]map[jobKey]*job{},
	}
}

// Ping always succeeds.
func (*Store) Ping(context.Context) error { return nil }

// Close does nothing.
func (*Store) Close() error { return nil }

// Apply writes objects; see store.Catalogue.
func (s *Store) Apply(_ context.Context, event *store.Event, objects []store.Object, join store.Join) (applied []bool, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	applied = make([]bool, len(objects))
	if event != nil {
		key := grantKey{event.Environment, event.ID}
		if _, taken := s.events[key]; taken {
			return applied, false, nil
		}
		if err := s.addJobs(event.Work); err != nil {
			return nil, false, err
		}
		s.events[key] = event.At
	}
	for i := range objects {
		o := &objects[i]
		var have *store.Object
		if there, ok := s.objects[objectKey{o.Environment, o.Kind, o.ID}]; ok {
			have = &there
		}
		kept, gone := store.Merge(have, o, join)
		if applied[i] = kept != nil; applied[i] {
			s.put(kept)
		}
		for _, id := range gone {
			key := objectKey{o.Environment, store.PlaybackID, string(id)}
			if _, known := s.objects[key]; !known {
				s.put(&store.Object{Environment: key.env, Kind: key.kind, ID: key.id, Version: o.Version, Deleted: true})
			}
		}
	}
	if len(s.log) > 2*len(s.objects)+1000 {
		s.log = slices.DeleteFunc(s.log, func(c change) bool { return s.objects[c.key].Seq != c.seq })
	}
	return applied, true, nil
}

func (s *Store) put(o *store.Object) {
	s.seq++
	o.Seq = s.seq
	key := objectKey{o.Environment, o.Kind, o.ID}
	s.objects[key] = *o
	s.log = append(s.log, change{s.seq, key})
}

// Changes calls yield with what changed; see store.Catalogue.
func (s *Store) Changes(_ context.Context, env playback.EnvironmentID, after int64, yield func(*store.Object) error) error {
	s.mu.RLock()
	first, _ := slices.BinarySearchFunc(s.log, after+1, func(c change, seq int64) int { return int(c.seq - seq) })
	var out []store.Object
	for _, c := range s.log[first:] {
		if o := s.objects[c.key]; o.Seq == c.seq && (env == "" || c.key.env == env) {
			out = append(out, o)
		}
	}
	s.mu.RUnlock()
	for i := range out {
		if err := yield(&out[i]); err != nil {
			return err
		}
	}
	return nil
}

// Compare returns the newest state, and whether it is one of this store; see
// store.History.
func (s *Store) Compare(_ context.Context, seen store.Checkpoint) (latest store.Checkpoint, became store.Continuity, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	latest = store.Checkpoint{Seq: s.seq, Stamp: s.stamp}
	if seen != (store.Checkpoint{}) && (seen.Stamp != s.stamp || seen.Seq > s.seq) {
		became = store.Rewound
	}
	return latest, became, nil
}

// Mark does nothing: every state is a checkpoint.
func (*Store) Mark(context.Context) error { return nil }

// TrimHistory does nothing.
func (*Store) TrimHistory(context.Context) error { return nil }

// ForgetEvents forgets old events.
func (s *Store) ForgetEvents(_ context.Context, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.events {
		if at.Before(before) {
			delete(s.events, id)
		}
	}
	return nil
}

// ClaimSync claims the reading of everything; see store.Catalogue.
func (s *Store) ClaimSync(_ context.Context, env playback.EnvironmentID, c store.SyncClaim) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.syncs[env]
	done := !have.done.Before(c.Due) && !have.done.After(c.Now.Add(store.ClockError))
	claimed := !have.claimed.Before(c.Now) && !have.claimed.After(c.Until.Add(store.ClockError))
	if done && !have.done.IsZero() || claimed && !have.claimed.IsZero() {
		return false, nil
	}
	have.claimed = c.Until
	s.syncs[env] = have
	return true, nil
}

// ExtendSync moves the end of a claim.
func (s *Store) ExtendSync(_ context.Context, env playback.EnvironmentID, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.syncs[env] = reading{s.syncs[env].done, until}
	return nil
}

// EndSync ends a claim.
func (s *Store) EndSync(_ context.Context, env playback.EnvironmentID, done time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.syncs[env].done; done.Before(have) && (done.IsZero() || !have.After(done.Add(store.ClockError))) {
		done = have
	}
	s.syncs[env] = reading{done: done}
	return nil
}

// PutGrant writes a grant; see store.Grants.
func (s *Store) PutGrant(_ context.Context, g *store.Grant, limit int) (kept store.Grant, created bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := grantKey{g.Environment, g.ID}
	kept = *g
	kept.Attributes = bytes.Clone(g.Attributes)
	kept.From, kept.Until = second(g.From), second(g.Until)
	kept.CreatedAt, kept.UpdatedAt = second(g.CreatedAt), second(g.UpdatedAt)
	kept.PlayWithin = g.PlayWithin.Truncate(time.Second)
	kept.FirstPlay = time.Time{}
	have, known := s.grants[key]
	if known {
		if viewerOf(&have) != viewerOf(&kept) {
			return store.Grant{}, false, store.ErrOtherViewer
		}
		kept.CreatedAt, kept.FirstPlay = have.CreatedAt, have.FirstPlay
		s.grants[key] = kept
		return kept, false, nil
	}
	ids := s.held[viewerOf(&kept)]
	if len(ids) >= limit {
		return store.Grant{}, false, store.ErrTooManyGrants
	}
	s.grants[key] = kept
	at, _ := slices.BinarySearch(ids, kept.ID)
	s.held[viewerOf(&kept)] = slices.Insert(ids, at, kept.ID)
	return kept, true, nil
}

func viewerOf(g *store.Grant) viewerKey { return viewerKey{g.Environment, g.Issuer, g.Viewer} }

// release takes a grant from its viewer's list.
func (s *Store) release(g *store.Grant) {
	key := viewerOf(g)
	ids := slices.DeleteFunc(s.held[key], func(id string) bool { return id == g.ID })
	if len(ids) == 0 {
		delete(s.held, key)
		return
	}
	s.held[key] = ids
}

func second(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Unix(t.Unix(), 0).UTC()
}

// Grant returns a grant.
func (s *Store) Grant(_ context.Context, env playback.EnvironmentID, id string) (store.Grant, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g, ok := s.grants[grantKey{env, id}]
	if !ok {
		return g, store.ErrNotFound
	}
	return g, nil
}

// DeleteGrant removes a grant.
func (s *Store) DeleteGrant(_ context.Context, env playback.EnvironmentID, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := grantKey{env, id}
	g, ok := s.grants[key]
	if !ok {
		return store.ErrNotFound
	}
	delete(s.grants, key)
	s.release(&g)
	return nil
}

// GrantsOf returns a viewer's grants.
func (s *Store) GrantsOf(_ context.Context, env playback.EnvironmentID, issuer, viewer string) ([]store.Grant, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ids := s.held[viewerKey{env, issuer, viewer}]
	if len(ids) == 0 {
		return nil, nil
	}
	out := make([]store.Grant, len(ids))
	for i, id := range ids {
		out[i] = s.grants[grantKey{env, id}]
	}
	return out, nil
}

// GrantsFor returns a viewer's grants of some scopes.
func (s *Store) GrantsFor(_ context.Context, h store.GrantHolder, scopes []store.GrantScope) ([]store.Grant, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []store.Grant
	for _, id := range s.held[viewerKey{h.Environment, h.Issuer, h.Viewer}] {
		g := s.grants[grantKey{h.Environment, id}]
		if slices.Contains(scopes, store.GrantScope{Kind: g.ScopeKind, ID: g.ScopeID}) {
			out = append(out, g)
		}
	}
	return out, nil
}

// GrantIssuers returns under which issuers a viewer has grants.
func (s *Store) GrantIssuers(_ context.Context, env playback.EnvironmentID, viewer string) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var issuers []string
	for key := range s.held {
		if key.env == env && key.viewer == viewer {
			issuers = append(issuers, key.issuer)
		}
	}
	slices.Sort(issuers)
	return issuers, nil
}

// StartPlay notes the first play; see store.Grants.
func (s *Store) StartPlay(_ context.Context, env playback.EnvironmentID, id string, at time.Time) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := grantKey{env, id}
	g, ok := s.grants[key]
	if !ok {
		return time.Time{}, store.ErrNotFound
	}
	if g.FirstPlay.IsZero() {
		g.FirstPlay = second(at)
		s.grants[key] = g
	}
	return g.FirstPlay, nil
}

// RaiseExpiries writes later ends; see store.Ledger.
func (s *Store) RaiseExpiries(_ context.Context, list []store.Expiry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range list {
		key := signingKey{e.Environment, e.Key}
		s.ledger[key] = max(s.ledger[key], e.Exp)
	}
	return nil
}

// Expiry returns the latest end of a key's tokens.
func (s *Store) Expiry(_ context.Context, env playback.EnvironmentID, key playback.KeyID) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ledger[signingKey{env, key}], nil
}

// Turn takes the next turn; see store.Paces.
func (s *Store) Turn(_ context.Context, t store.Turn) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := max(0, s.paces[t.Name].Sub(t.Now))
	if wait > store.ClockError {
		wait = 0
	}
	if wait > t.Within {
		return 0, store.ErrNoTurn
	}
	s.paces[t.Name] = t.Now.Add(wait + t.Every)
	return wait, nil
}
