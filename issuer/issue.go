package issuer

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// Keys says which key an environment signs with now.
type Keys interface {
	Active(env playback.EnvironmentID) (playback.KeyID, playback.Thumbprint, bool)
}

// Tokens gives the token of some claims, from memory or freshly signed. hit
// reports that nothing had to be signed.
type Tokens interface {
	Token(ctx context.Context, c *playback.Claims, l playback.Lifetime, t playback.Turn) (tok playback.Token, hit bool, err error)
	// Remembered is Token for who asks for several: it gives the token if it is in
	// memory, at once, and has nothing signed.
	Remembered(c *playback.Claims, l playback.Lifetime, at time.Time) (playback.Token, bool)
}

// Ledger learns which tokens were given to somebody: until the last of a key
// has ended, the key must not be deleted. What is signed ahead does not count.
type Ledger interface {
	// HandedOut is called for every answer with tokens; exp is Unix seconds.
	HandedOut(env playback.EnvironmentID, key playback.KeyID, exp int64)
}

// Config is what an Issuer needs; every field but Ledger, Grants, Stale
// and Journal is required.
type Config struct {
	Keys   Keys
	Tokens Tokens
	Ledger Ledger // nil: nobody keeps one
	Grants Holder // nil: no environment's rules read what viewers hold
	// Stale reports whether an environment's keys have not been read for so long
	// that answers should say so, and then until when (Unix seconds) what the
	// active key signs is sure to be honoured; 0: that needs no bound. nil: never.
	Stale func(playback.EnvironmentID) (assured int64, stale bool)
	// Journal keeps what was decided; nil: nobody does.
	Journal Journal
	Now     func() time.Time
}

// Issuer runs the pipeline.
type Issuer struct {
	cfg   Config
	slots playback.RuleSlots // half of the processors
}

// New returns an Issuer.
func New(cfg Config) *Issuer {
	return &Issuer{cfg, playback.NewRuleSlots(max(1, runtime.GOMAXPROCS(0)/2))}
}

// Issue answers one request. The errors are *playback.Error and come in the
// order of contract §8: playback ID 404, catalogue 400, rules 403, type and
// parameter grants 403, status 412, min_ttl 400, key and queue 503.
func (i *Issuer) Issue(ctx context.Context, env *Environment, req *Request) (*Answer, error) {
	answer, err := i.issue(ctx, env, req)
	if i.cfg.Journal != nil {
		i.record(answer, req, err)
	}
	return answer, err
}

func (i *Issuer) issue(ctx context.Context, env *Environment, req *Request) (*Answer, error) {
	object, err := resolve(ctx, env, req)
	if err != nil {
		return nil, err
	}
	if req.Now.IsZero() {
		req.Now = i.cfg.Now()
	}
	req.desk.trail.inquiry = inquiry{env: env, object: object, req: req, now: req.Now}
	req.desk.budget = playback.NewRuleBudget(ctx, playback.RequestRuleWork, req.RuleWork)
	req.desk.budget.In(i.slots)
	inquiry := &req.desk.trail.inquiry
	granted, err := i.decide(ctx, inquiry)
	if err != nil {
		return nil, err
	}
	if err := checkStatus(object); err != nil {
		return nil, err
	}
	answer := req.desk.answerOf(object, granted)
	granted = needingTokens(object, granted)
	if len(granted) == 0 {
		return answer, inquiry.charge(answer)
	}
	if err := i.deliver(ctx, inquiry, granted, answer); err != nil {
		return nil, err
	}
	if i.cfg.Ledger != nil {
		i.cfg.Ledger.HandedOut(env.ID, answer.Key, answer.Lifetime.Exp)
	}
	return answer, nil
}

// granted is one type that the rules gave.
type granted struct {
	kind   playback.TokenType
	rule   string
	grant  *playback.Grant
	sent   playback.Params
	params playback.Params // the token's: what was sent, under what is forced
	custom string
	held   []playback.Held // what the rule rests on
	until  time.Time       // when what it gives ends; zero: it does not
}

// needingTokens keeps, in place, the types that need a token: all of them,
// unless the playback ID is public.
func needingTokens(object *playback.Object, all []granted) []granted {
	if !object.Public() {
		return all
	}
	return slices.DeleteFunc(all, func(g granted) bool { return !object.NeedsToken(g.kind) })
}

// unforced returns those of the parameters that were sent which the token would
// have: on a public playback ID what is forced binds nobody, so neither it, nor
// what gave way to it, nor what keeps a token within a clip is in the URL.
func (g *granted) unforced() playback.Params {
	forced := g.grant.Forced(g.kind)
	if len(forced) == 0 {
		return g.sent
	}
	var out playback.Params
	for _, p := range g.sent {
		if _, ok := forced.Get(p.Name); ok {
			continue
		}
		if _, ok := g.params.Get(p.Name); ok {
			out = append(out, p)
		}
	}
	return out
}

func resolve(ctx context.Context, env *Environment, req *Request) (*playback.Object, error) {
	if req.VideoID != "" { // the application's own name for a video: the catalogue has none
		req.desk.unknown = playback.Object{VideoID: req.VideoID}
		return &req.desk.unknown, nil
	}
	if req.PlaybackID == "" {
		return choose(ctx, env, req)
	}
	if object, ok := env.Catalogue.Lookup(req.PlaybackID); ok {
		return object, nil
	}
	return find(ctx, env, req)
}

// choose picks the playback ID of an asset or live stream, in catalogue order:
// for a DRM licence the first drm one, else the first signed; otherwise the
// first signed, else the first drm. Statistics alone can be had through a public
// one, too, because Mux wants a token for them whatever the policy.
func choose(ctx context.Context, env *Environment, req *Request) (*playback.Object, error) {
	objects, err := objectsOf(ctx, env, req)
	if err != nil {
		return nil, err
	}
	order := []playback.Policy{playback.PolicySigned, playback.PolicyDRM, playback.PolicyPublic}
	if slices.Contains(req.Types, playback.DRMLicense) {
		order[0], order[1] = order[1], order[0]
	}
	if slices.ContainsFunc(req.Types, func(t playback.TokenType) bool { return !t.CountsViewers() }) {
		order = order[:2]
	}
	for _, policy := range order {
		for _, o := range objects {
			if o.Policy == policy {
				return o, nil
			}
		}
	}
	return nil, playback.Errorf(playback.CodeNoSignedPlaybackID, "There is no signed playback ID for it.").Because(unchosen(req, objects))
}

// inquiry is one request in front of one environment's rules.
type inquiry struct {
	env    *Environment
	object *playback.Object
	req    *Request
	now    time.Time
	rights rights
	// assured is how long the active key is sure to live, where that is in doubt.
	assured int64
}

// decide asks the rules, which read what the viewer holds if they come to it.
func (i *Issuer) decide(ctx context.Context, q *inquiry) ([]granted, error) {
	if err := checkAvailable(q.object, q.req); err != nil {
		return nil, err
	}
	q.rights.ctx, q.rights.holder = ctx, i.cfg.Grants
	defer q.req.desk.budget.Release()
	return q.decide(q.req.desk.forGranted(q.req))
}

// decide asks the rules about every type, applies what they grant and appends
// it to out, which is empty.
func (q *inquiry) decide(out []granted) ([]granted, error) {
	if q.req.All {
		return q.decideAll(out)
	}
	for _, t := range q.req.Types {
		d := q.ask(t)
		if d.Undecided != nil {
			return nil, d.Undecided
		}
		d.Count()
		if d.Grant == nil {
			return nil, q.refusal(t, d)
		}
		out = append(out, grantedBy(d, t))
	}
	return out, apply(q.req, out)
}

// decideAll keeps the types that are granted; when there is none, the refusal
// of the first type answers. What does not answer is not counted: nobody asked
// for that type.
func (q *inquiry) decideAll(out []granted) ([]granted, error) {
	var refused playback.Decision
	var first playback.TokenType
	for t := range playback.TokenTypes {
		if _, ok := q.object.Subject(t); !ok {
			continue
		}
		d := q.ask(t)
		switch {
		case d.Undecided != nil: // leaving the type out would say that it is refused
			return nil, d.Undecided
		case d.Grant != nil:
			d.Count()
			out = append(out, grantedBy(d, t))
		case refused.Refusal == nil:
			refused, first = *d, t
		}
	}
	if len(out) == 0 {
		refused.Count()
		return nil, q.refusal(first, &refused)
	}
	return out, apply(q.req, out)
}

// refusal is the answer to a type that was refused, with the time from which on
// it is another one, where the rules know that time alone is missing. It is
// asked for once, of the refusal that is answered.
func (q *inquiry) refusal(t playback.TokenType, d *playback.Decision) *playback.Error {
	if dater, ok := q.env.Rules.(Dater); ok && d.Refusal != nil {
		question := &q.req.desk.question
		*question = q.question(t)
		return because(dater.Dated(question, d), d.Rule)
	}
	return because(d.Refusal, d.Rule)
}

func grantedBy(d *playback.Decision, t playback.TokenType) granted {
	return granted{kind: t, rule: d.Rule, grant: d.Grant, custom: d.Custom, held: d.Held, until: d.Until}
}

// ask asks the rules about one type. The decision stands on the desk until the
// next is asked for.
func (q *inquiry) ask(t playback.TokenType) *playback.Decision {
	desk := &q.req.desk
	desk.question = q.question(t)
	desk.decision = q.env.Rules.Decide(&desk.question)
	if desk.decision.Undecided == nil {
		desk.trail.note(t, &desk.decision)
	}
	return &desk.decision
}

// question is what the rules are asked about one type.
func (q *inquiry) question(t playback.TokenType) playback.Question {
	question := playback.Question{
		Viewer: q.req.Viewer, Object: q.object, Client: q.req.Client, SessionID: q.req.SessionID,
		Type: t, Params: q.req.Params[t], Now: q.now, Grants: q.rights.inForce, Budget: &q.req.desk.budget,
	}
	if !q.rights.read && (q.env.ReadsGrants || q.env.ShadowReadsGrants) {
		question.Entitlements = q
	}
	return question
}

// checkAvailable refuses what the catalogue says cannot be had.
func checkAvailable(object *playback.Object, req *Request) error {
	if isStaticRendition(req.File) && !object.HasStaticRenditions() {
		return playback.Errorf(playback.CodeTypeUnavailable, "A drm playback ID has no static renditions.")
	}
	for _, t := range req.Types {
		if _, ok := object.Subject(t); !ok {
			return noSuchToken(object, t)
		}
		if object.Asset == nil || object.LiveStream != nil {
			continue
		}
		if latest, ok := req.Params[t].Get("latest"); ok && latest.JSON == "true" {
			return req.at(t, playback.Errorf(playback.CodeInvalidParam, "latest: only live streams have a latest thumbnail"))
		}
		if err := playback.CheckDuration(t, req.Params[t], object.Asset.Duration); err != nil {
			return req.at(t, err)
		}
	}
	return nil
}

// noSuchToken says why an object has no token of a type.
func noSuchToken(object *playback.Object, t playback.TokenType) *playback.Error {
	switch {
	case object.VideoID != "":
		return playback.Errorf(playback.CodeTypeUnavailable, "A video_id has no %s token, only stats_video.", t)
	case t == playback.StatsVideo:
		return playback.Errorf(playback.CodeTypeUnavailable, "A playback ID has no stats_video token: send video_id.")
	case t == playback.DRMLicense:
		return playback.Errorf(playback.CodeTypeUnavailable, "This playback ID has no drm_license token: its policy is %s.", object.Policy)
	}
	return playback.Errorf(playback.CodeTypeUnavailable, "This playback ID has no %s token.", t).Because(behind(object))
}

// isStaticRendition reports whether a redirect's file is an MP4 or M4A, and no
// text track; "" is no file.
func isStaticRendition(file string) bool {
	return file != "" && !strings.HasPrefix(file, textTracks)
}

// apply checks what was sent against each grant and merges the two.
func apply(req *Request, all []granted) error {
	for n := range all {
		g := &all[n]
		if req.File != "" && !grantsFile(g.grant.Renditions, req.File) {
			return playback.Errorf(playback.CodeTypeNotGranted, "This file is not granted.").Because(ungrantedFile(g, req.File))
		}
		params, refusal := g.grant.Settle(g.kind, req.Params[g.kind], req.Backend)
		if refusal != nil {
			return req.at(g.kind, because(refusal, g.rule))
		}
		g.sent, g.params = req.Params[g.kind], params
		custom, err := mergeCustom(g.custom, req.Custom)
		if err != nil {
			return err
		}
		g.custom = custom
	}
	return nil
}

// textTracks is how the files of text tracks begin: "text/TRACK.vtt".
const textTracks = "text/"

func grantsFile(renditions []string, file string) bool {
	for _, r := range renditions {
		if r == file || r == "text/*" && strings.HasPrefix(file, textTracks) {
			return true
		}
	}
	return false
}

func checkStatus(object *playback.Object) error {
	if a := object.Asset; a != nil && (a.Status == playback.AssetPreparing || a.Status == playback.AssetErrored) {
		return playback.Errorf(playback.CodeAssetNotReady, "The asset is not ready.").Because(assetIs(a))
	}
	if l := object.LiveStream; l != nil && l.Status == playback.LiveStreamDisabled {
		return playback.Errorf(playback.CodeLiveStreamDisabled, "The live stream is disabled.").Because(liveStreamIs(l))
	}
	return nil
}
