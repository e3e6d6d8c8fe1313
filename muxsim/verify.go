package muxsim

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Verify says what the edge would answer to a GET of the URL (a POST for
// licences), without serving or counting it. The URL may be absolute or a path
// with a query; its host is not looked at, since the path layouts of Mux's
// hosts are distinct. Of the header only Referer and User-Agent matter.
func (s *Sim) Verify(rawURL string, header http.Header) Verdict {
	return s.admit(context.Background(), rawURL, header).Verdict
}

// admission is a Verdict with what serving needs.
type admission struct {
	Verdict
	route   route
	object  *object // nil on the stats host
	realm   *realm  // whose keys open it; nil until it is known
	params  params
	options options // playlist and chunk
	counted counted // counts and health
}

func (s *Sim) admit(ctx context.Context, rawURL string, header http.Header) *admission {
	a := &admission{Verdict: Verdict{Reason: OK}}
	if why := s.examine(ctx, a, rawURL, header); why != nil {
		a.Reason, a.Detail = why.reason, why.detail
	}
	return a
}

// asked is what of a request matters.
type asked struct {
	path   string
	query  url.Values
	header http.Header
}

func (s *Sim) examine(ctx context.Context, a *admission, rawURL string, header http.Header) *refusal {
	u, err := url.Parse(rawURL)
	if err != nil || strings.Contains(u.EscapedPath(), "%") {
		return refuse(InvalidURL, "The URL is ill-formed.")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuse(InvalidURL, "The query is ill-formed.")
	}
	var ok bool
	if a.route, ok = parsePath(u.Path); !ok {
		return refuse(InvalidURL, "No resource of Mux has this path, or the playback ID is ill-formed.")
	}
	a.PlaybackID = a.route.id
	q := asked{u.Path, query, header}
	if a.route.stats() {
		return s.examineStats(ctx, a, q)
	}
	if a.object, ok = s.objects()[a.route.id]; !ok {
		if a.route.drm() {
			return refuse(NoDRM, "No DRM playback ID of this name exists.")
		}
		return refuse(UnknownPlaybackID, "No such playback ID exists.")
	}
	a.realm, a.Environment = a.object.realm, a.object.realm.id
	if a.route.drm() && a.object.Policy != DRM {
		return refuse(NoDRM, "The playback ID has no DRM.")
	}
	if why := s.examineAccess(ctx, a, q); why != nil {
		return why
	}
	if !a.exists() {
		return refuse(UnknownFile, "The playback ID has no such file.")
	}
	return s.examineStatus(a)
}

// examineAccess checks what lets the request in: a link's own signature, no
// token for a public ID, a token for others.
func (s *Sim) examineAccess(ctx context.Context, a *admission, q asked) (why *refusal) {
	if a.route.kind == playlist || a.route.kind == chunk {
		a.options, why = s.links.check(q.path, q.query)
		a.Expires = a.options.expires
		return why
	}
	tokens, sent := q.query["token"]
	if a.object.Policy == Public {
		if sent {
			return refuse(TokenOnPublic, "A public playback ID takes no token.")
		}
		a.params, why = a.route.queryParams(q.query)
		return why
	}
	compact, why := soleToken(a.route, tokens, q.query)
	if why != nil {
		return why
	}
	t, why := parseToken(compact)
	if why != nil {
		return why
	}
	if why := s.checkToken(ctx, a, t, string(a.route.id)); why != nil {
		return why
	}
	if why := a.realm.checkRestriction(t, q.header); why != nil {
		return why
	}
	if a.params, why = a.route.claimParams(t.claims); why != nil {
		return why
	}
	if format := q.query.Get("format"); format != "" && a.params["format"] == "" {
		a.params["format"] = format // mux-player sends it beside a storyboard token, and expects it
	}
	return nil
}

// soleToken returns the token of a query that carries nothing else, but for
// what official players add (mux.md §1.5).
func soleToken(r route, tokens []string, query url.Values) (string, *refusal) {
	switch {
	case len(tokens) > 1:
		return "", refuse(RepeatedParam, "The token is repeated.")
	case len(tokens) == 0 || tokens[0] == "":
		if r.drm() {
			return "", refuse(DRMTokenMissing, "A DRM request needs a token.")
		}
		return "", refuse(TokenMissing, "The playback ID needs a token.")
	}
	for name, values := range query {
		tolerated := r.kind == storyboard && name == "format" || r.kind == manifest && name == "redundant_streams"
		if name == "token" || tolerated && len(values) == 1 && r.specs()[name](values[0]) {
			continue
		}
		return "", refuse(ExtraParam, "Beside a token the query may carry nothing: parameters belong into the token.")
	}
	return tokens[0], nil
}

// checkToken checks signature and claims against the keys of the environment
// that owns the object, in the order in which Mux's player diagnoses a 403.
func (s *Sim) checkToken(ctx context.Context, a *admission, t *token, subject string) *refusal {
	key, ok := a.realm.keys.find(ctx, t.kid)
	if !ok {
		return refuse(UnknownKey, "The environment of this playback ID has no such signing key.")
	}
	if !t.verifiedBy(key) {
		return refuse(BadSignature, "The signature does not fit the token.")
	}
	a.Key = t.kid
	return s.checkClaims(a, t, subject)
}

func (s *Sim) checkClaims(a *admission, t *token, subject string) *refusal {
	now := float64(s.now().UnixNano()) / 1e9
	exp, ok := t.time("exp")
	if !ok {
		return refuse(ExpMissing, "The token's exp is missing or not a number.")
	}
	a.Expires = int64(exp)
	if exp <= now {
		return refuse(TokenExpired, "The token expired %d s ago.", int64(now-exp))
	}
	if _, sent := t.claims["nbf"]; sent {
		if nbf, ok := t.time("nbf"); !ok || nbf > now {
			return refuse(NotYetValid, "The token's nbf is not a number or lies in the future.")
		}
	}
	if sub, ok := stringMember(t.claims, "sub"); !ok || sub != subject {
		return refuse(SubMismatch, "The token's sub is not the ID of this URL.")
	}
	if _, sent := t.claims["aud"]; !sent {
		return refuse(AudMissing, "The token has no aud.")
	}
	if aud, ok := stringMember(t.claims, "aud"); !ok || !slices.Contains(a.route.aud(), aud) {
		return refuse(AudMismatch, "The token's aud is not a string that fits this URL: want %s.", strings.Join(a.route.aud(), " or "))
	}
	if custom, sent := t.claims["custom"]; sent && !strings.HasPrefix(string(custom), "{") {
		return refuse(InvalidParam, "The claim custom is not an object.")
	}
	return nil
}

// time reads a NumericDate (RFC 7519 §2).
func (t *token) time(name string) (float64, bool) {
	raw := string(t.claims[name])
	if !jsonNumber.MatchString(raw) {
		return 0, false
	}
	f, err := strconv.ParseFloat(raw, 64)
	return f, err == nil
}

// checkRestriction applies the restriction that the token names. One that does
// not exist denies (UNVERIFIED at Mux).
func (r *realm) checkRestriction(t *token, header http.Header) *refusal {
	if _, sent := t.claims["playback_restriction_id"]; !sent {
		return nil
	}
	id, ok := stringMember(t.claims, "playback_restriction_id")
	restriction := r.restrictions[RestrictionID(id)]
	if !ok || restriction == nil {
		return refuse(RestrictionAbsent, "The token names a playback restriction that does not exist.")
	}
	return restriction.check(header)
}

// exists reports whether the object has the file.
func (a *admission) exists() bool {
	switch a.route.kind {
	case static: // none of live streams, none through a DRM playback ID (mux.md §5)
		_, ok := a.object.clip.static(a.route.name)
		return ok && !a.object.live() && a.object.Policy != DRM
	case text:
		_, ok := a.object.clip.subtitle[a.route.name]
		return ok && !a.object.live()
	case storyboard, animated:
		return !a.object.live()
	case playlist, chunk:
		return a.childExists()
	case manifest, thumbnail, license, certificate, counts, health:
	}
	return true
}

// childExists checks a link that this edge signed, for the rung and segment.
func (a *admission) childExists() bool {
	name := a.route.name
	if track, ok := strings.CutPrefix(name, "text-"); ok {
		_, ok = a.object.clip.subtitle[track]
		return ok
	}
	if name == stillsName {
		return true
	}
	r, ok := a.object.clip.rung(name)
	return ok && (a.object.live() || a.route.number < len(r.segments))
}

// examineStatus is 412 for what exists and may be watched, but not now.
func (s *Sim) examineStatus(a *admission) *refusal {
	status := a.object.Status
	if !a.object.live() {
		if status != "" && status != AssetReady {
			return refuse(AssetNotReady, "The asset is %s.", status)
		}
		if a.params.flag("latest") {
			return refuse(InvalidParam, "latest is for live streams only.")
		}
		return s.examineClip(a)
	}
	if status != "" && status != LiveStreamActive {
		return refuse(LiveStreamInactive, "The live stream is %s.", status)
	}
	now := float64(s.now().Unix())
	if now < a.params.number("program_start_time", 0) || now >= a.params.number("program_end_time", now+1) {
		return refuse(OutsideProgram, "The live stream is outside the token's program time.")
	}
	return nil
}

func (s *Sim) examineClip(a *admission) *refusal {
	if a.params.number("asset_start_time", 0) >= a.object.clip.seconds {
		return refuse(InvalidParam, "The clip starts after the end of the asset.")
	}
	return nil
}

// counted is what a token of the stats host names. The four kinds of ID are not
// interchangeable (mux.md §1.3).
type counted struct{ aud, subject string }

// of reports whether the playback ID is among what is counted. No playback ID
// belongs to a video ID, which is the customer's own.
func (c counted) of(o *object) bool {
	switch {
	case c.subject == "":
		return false
	case c.aud == "playback_id":
		return string(o.ID) == c.subject
	case c.aud == "asset_id":
		return string(o.Asset) == c.subject
	case c.aud == "live_stream_id":
		return string(o.LiveStream) == c.subject
	}
	return false
}

// examineStats checks a token of the stats host, which it wants whatever the
// policy of the playback ID. Its subject is the ID that is counted and its
// environment the one that owns that ID; a video ID is the customer's own, so
// there any environment that knows the key will do.
func (s *Sim) examineStats(ctx context.Context, a *admission, q asked) *refusal {
	compact, why := soleToken(a.route, q.query["token"], q.query)
	if why != nil {
		return why
	}
	t, why := parseToken(compact)
	if why != nil {
		return why
	}
	a.counted.subject, _ = stringMember(t.claims, "sub")
	a.counted.aud, _ = stringMember(t.claims, "aud")
	why = refuse(SubMismatch, "The token's sub is no ID of this kind.")
	for _, id := range s.realmsOf(a.counted) {
		a.realm, a.Environment = s.realms[id], id
		found := s.checkToken(ctx, a, t, a.counted.subject)
		if found == nil {
			return a.realm.checkRestriction(t, q.header)
		}
		if why.reason == SubMismatch || why.reason == UnknownKey { // the environment that knows the key says best what is wrong
			why = found
		}
	}
	if why.reason == SubMismatch && !slices.Contains(a.route.aud(), a.counted.aud) {
		return refuse(AudMismatch, "The token's aud is none of the stats host's.")
	}
	return why
}

// realmsOf returns the environments that may vouch for a stats token, sorted,
// so that verdicts do not depend on the order of a map.
func (s *Sim) realmsOf(c counted) []EnvironmentID {
	var ids []EnvironmentID
	for _, o := range s.objects() {
		if c.of(o) {
			ids = append(ids, o.realm.id)
		}
	}
	if c.aud == "video_id" && isVideoID(c.subject) {
		for id := range s.realms {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
