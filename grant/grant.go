package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	// storeTimeout bounds one question to the store: a player waits for it.
	storeTimeout = 2 * time.Second
	retryAfter   = time.Second
	// defaultMax is how many grants a viewer may have where nobody says.
	defaultMax = 1000
	// maxScopes is up to how many scopes of an object are part of the question to
	// the store; assets with more tags than that are rare.
	maxScopes = 100
)

// Config is what a Holder is made of.
type Config struct {
	Store store.Grants
	Now   func() time.Time // for created_at and updated_at
	// MaxPerViewer returns how many grants a viewer of the environment may have;
	// nil: 1,000.
	MaxPerViewer func(playback.EnvironmentID) int
	Registerer   prometheus.Registerer // nil: metrics are counted, not published
}

// Holder answers what viewers hold, and lets backends say so.
type Holder struct {
	cfg     Config
	started prometheus.Counter
	failed  prometheus.Counter
}

// New returns a Holder.
func New(cfg Config) *Holder {
	h := &Holder{
		cfg: cfg,
		started: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "playgate_grant_plays_started_total",
			Help: "Grants with play_within whose time began with a token of this replica.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "playgate_grant_store_errors_total",
			Help: "Reads and changes of grants that the store did not answer.",
		}),
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(h.started, h.failed)
	}
	return h
}

// InForce returns the rights of the question's viewer that hold for its object
// then, in the order of their IDs. An anonymous viewer has none. The error is a
// *playback.Error: dependency_unavailable.
func (h *Holder) InForce(ctx context.Context, env playback.EnvironmentID, q *playback.Question) ([]playback.Held, error) {
	if q.Viewer == nil || q.Viewer.ID == "" {
		return nil, nil
	}
	records, err := h.covering(ctx, store.GrantHolder{Environment: env, Issuer: q.Viewer.Issuer, Viewer: q.Viewer.ID}, q.Object)
	if err != nil {
		return nil, err
	}
	var inForce []playback.Held
	for i := range records {
		e, err := fromRecord(&records[i])
		if err != nil {
			return nil, err
		}
		if e.Scope.Covers(q.Object) && e.InForce(q.Now) {
			inForce = append(inForce, e.Held)
		}
	}
	return inForce, nil
}

// covering returns the viewer's grants that may cover an object.
func (h *Holder) covering(ctx context.Context, viewer store.GrantHolder, o *playback.Object) ([]store.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	scopes := playback.ScopesCovering(o)
	if len(scopes) > maxScopes {
		records, err := h.cfg.Store.GrantsOf(ctx, viewer.Environment, viewer.Issuer, viewer.Viewer)
		return records, h.unavailableIf(err)
	}
	list := make([]store.GrantScope, len(scopes))
	for i, s := range scopes {
		list[i] = store.GrantScope{Kind: string(s.Kind), ID: s.Value}
	}
	records, err := h.cfg.Store.GrantsFor(ctx, viewer, list)
	return records, h.unavailableIf(err)
}

// Held returns all rights of the question's viewer, in force or not, as InForce
// does.
func (h *Holder) Held(ctx context.Context, env playback.EnvironmentID, q *playback.Question) ([]playback.Held, error) {
	if q.Viewer == nil || q.Viewer.ID == "" {
		return nil, nil
	}
	all, err := h.List(ctx, env, q.Viewer.Issuer, q.Viewer.ID)
	if err != nil {
		return nil, err
	}
	held := make([]playback.Held, len(all))
	for i := range all {
		held[i] = all[i].Held
	}
	return held, nil
}

// Start begins the time of a right, unless it has begun, and returns when it
// did: the same moment on every replica, in whole seconds. gone: the right was
// deleted meanwhile. The error is as InForce's.
func (h *Holder) Start(ctx context.Context, env playback.EnvironmentID, id string, now time.Time) (first time.Time, gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	now = now.Truncate(time.Second)
	first, err = h.cfg.Store.StartPlay(ctx, env, id, now)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return time.Time{}, true, nil
	case err != nil:
		return time.Time{}, false, h.unavailable(err)
	}
	if first.Equal(now) {
		h.started.Inc()
	}
	return first, false, nil
}

// Put stores a grant in place of the one of its ID, and returns it as it is
// stored; created tells that there was none. The error is a *playback.Error:
// invalid_field, limit_reached, dependency_unavailable.
func (h *Holder) Put(ctx context.Context, e playback.Entitlement) (_ playback.Entitlement, created bool, _ error) {
	if err := Check(&e); err != nil {
		return playback.Entitlement{}, false, err
	}
	e.CreatedAt = h.cfg.Now().UTC().Truncate(time.Second)
	e.UpdatedAt = e.CreatedAt
	record, err := toRecord(&e)
	if err != nil {
		return playback.Entitlement{}, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	limit := h.limit(e.Environment)
	kept, created, err := h.cfg.Store.PutGrant(ctx, record, limit)
	switch {
	case errors.Is(err, store.ErrTooManyGrants):
		return playback.Entitlement{}, false, playback.Errorf(playback.CodeLimitReached,
			"The viewer has %s, which is as many as a viewer may have: delete those that have ended.", playback.Count(limit, "grant", "grants")).
			Because(fmt.Errorf("grants.max_per_viewer of environment %s is %d", e.Environment, limit))
	case errors.Is(err, store.ErrOtherViewer):
		return playback.Entitlement{}, false, refuse("viewer", "the grant of this ID is another viewer's: delete it first, or choose another ID")
	case err != nil:
		return playback.Entitlement{}, false, h.unavailable(err)
	}
	stored, err := fromRecord(&kept)
	return stored, created, err
}

// Get returns a grant. The error is a *playback.Error: not_found,
// dependency_unavailable.
func (h *Holder) Get(ctx context.Context, env playback.EnvironmentID, id string) (playback.Entitlement, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	record, err := h.cfg.Store.Grant(ctx, env, id)
	if err != nil {
		return playback.Entitlement{}, h.failure(err)
	}
	return fromRecord(&record)
}

// Delete removes a grant, for the next request already. The error is as Get's.
func (h *Holder) Delete(ctx context.Context, env playback.EnvironmentID, id string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := h.cfg.Store.DeleteGrant(ctx, env, id); err != nil {
		return h.failure(err)
	}
	return nil
}

// List returns all grants of a viewer, in force or not, in the order of their
// IDs. The error is as InForce's.
func (h *Holder) List(ctx context.Context, env playback.EnvironmentID, issuer, viewer string) ([]playback.Entitlement, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	records, err := h.cfg.Store.GrantsOf(ctx, env, issuer, viewer)
	if err != nil {
		return nil, h.unavailable(err)
	}
	list := make([]playback.Entitlement, len(records))
	for i := range records {
		if list[i], err = fromRecord(&records[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Issuers returns the aliases under which a viewer's ID has grants, sorted. The
// error is as InForce's.
func (h *Holder) Issuers(ctx context.Context, env playback.EnvironmentID, viewer string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	issuers, err := h.cfg.Store.GrantIssuers(ctx, env, viewer)
	if err != nil {
		return nil, h.unavailable(err)
	}
	return issuers, nil
}

// failure is what a caller learns of an error of the store about one grant.
func (h *Holder) failure(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return playback.Errorf(playback.CodeNotFound, "The environment has no such grant.")
	}
	return h.unavailable(err)
}

// limit returns how many grants a viewer may have.
func (h *Holder) limit(env playback.EnvironmentID) int {
	if h.cfg.MaxPerViewer == nil {
		return defaultMax
	}
	return h.cfg.MaxPerViewer(env)
}

func (h *Holder) unavailableIf(err error) error {
	if err == nil {
		return nil
	}
	return h.unavailable(err)
}

func (h *Holder) unavailable(err error) error {
	h.failed.Inc()
	return playback.Errorf(playback.CodeDependencyUnavailable, "Grants cannot be read or written now.").
		Because(fmt.Errorf("asking the store about grants: %w", err)).After(retryAfter)
}

func toRecord(e *playback.Entitlement) (*store.Grant, error) {
	record := &store.Grant{
		Environment: e.Environment, ID: e.ID, Issuer: e.Issuer, Viewer: e.Viewer,
		Type: string(e.Type), ScopeKind: string(e.Scope.Kind), ScopeID: e.Scope.Value,
		From: e.From, Until: e.Until, PlayWithin: e.PlayWithin, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt,
	}
	if len(e.Attributes) > 0 {
		text, err := json.Marshal(e.Attributes)
		if err != nil {
			return nil, fmt.Errorf("writing the attributes of grant %s: %w", e.ID, err)
		}
		record.Attributes = text
	}
	return record, nil
}

// fromRecord reads what was stored. Attributes that cannot be read are an error
// and not left out: a rule might deny by them.
func fromRecord(r *store.Grant) (playback.Entitlement, error) {
	e := playback.Entitlement{
		Environment: r.Environment, Issuer: r.Issuer, Viewer: r.Viewer,
		Held: playback.Held{
			ID: r.ID, Type: playback.HeldType(r.Type), Scope: playback.Scope{Kind: playback.ScopeKind(r.ScopeKind), Value: r.ScopeID},
			From: r.From, Until: r.Until, PlayWithin: r.PlayWithin, FirstPlay: r.FirstPlay,
		},
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if len(r.Attributes) > 0 {
		if err := json.Unmarshal(r.Attributes, &e.Attributes); err != nil {
			return e, fmt.Errorf("reading the attributes of grant %s: %w", r.ID, err)
		}
	}
	return e, nil
}
