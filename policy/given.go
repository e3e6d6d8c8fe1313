package policy

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/playgate/playgate/playback"
)

// testCase is one entry of a document's `tests:`.
type testCase struct {
	described   bool // it says what the playback ID is, not its name alone
	name        string
	place       string // line 7
	question    playback.Question
	environment *object
	rights      []givenGrant // what the viewer holds
	grants      []givenGrant // those in force: viewer.grants
	checks      []check
}

// scene is what a test's rules see besides the question.
func (t *testCase) scene() scene {
	return scene{environment: t.environment, grants: grantValues(t.grants)}
}

// testNow is what `now` is in tests that do not say.
func testNow() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func (d *decoder) tests(n node) []testCase {
	var tests []testCase
	d.items(n, func(item node) { tests = append(tests, d.test(item)) })
	return tests
}

// newTestCase is a question that says nothing.
func newTestCase() testCase {
	t := testCase{environment: newEnvironment("", "")}
	t.question.Viewer = &playback.Viewer{}
	t.question.Object = &playback.Object{}
	t.question.Client = &playback.Client{}
	t.question.Now = testNow()
	return t
}

func (d *decoder) test(n node) testCase {
	t := newTestCase()
	t.place = fmt.Sprintf("line %d", n.Line)
	if d.file != "" {
		t.place = d.file + ", " + t.place
	}
	before := len(d.problems)
	d.fields(n, map[string]func(node){
		"name":   func(v node) { t.name, _ = d.text(v) },
		"given":  func(v node) { d.given(v, &t) },
		"expect": func(v node) { t.checks = d.expect(v) },
	})
	if len(t.checks) == 0 && len(d.problems) == before {
		d.problem(node{n.Node, join(n.path, "expect")}, "names nothing, so the test could not fail")
	}
	t.name = cmp.Or(t.name, n.path)
	return t
}

// given reads what a test asks. What is left out is the typed zero; the country
// of an unknown client is ZZ, as everywhere.
func (d *decoder) given(n node, t *testCase) {
	q := &t.question
	d.fields(n, map[string]func(node){
		"viewer":      func(v node) { d.givenViewer(v, t) },
		"playback_id": func(v node) { d.givenPlaybackID(v, q.Object) },
		"playback":    func(v node) { t.described = true; d.givenPlayback(v, q.Object) },
		"asset":       func(v node) { t.described = true; q.Object.Asset = d.givenAsset(v) },
		"live_stream": func(v node) { t.described = true; q.Object.LiveStream = d.givenLiveStream(v) },
		"request":     func(v node) { d.givenRequest(v, q) },
		"environment": func(v node) { t.environment = d.givenEnvironment(v) },
		"now":         func(v node) { q.Now = d.time(v) },
	})
	t.hold()
}

func (d *decoder) givenViewer(n node, t *testCase) {
	viewer := t.question.Viewer
	d.fields(n, map[string]func(node){
		"issuer":        func(v node) { viewer.Issuer, _ = d.text(v) },
		"id":            func(v node) { viewer.ID, _ = d.text(v) },
		"authenticated": func(v node) { viewer.Authenticated = d.boolean(v) },
		"claims":        func(v node) { viewer.Claims = d.object(v) },
		"grants": func(v node) {
			d.items(v, func(item node) { t.rights = append(t.rights, d.givenGrant(item)) })
		},
	})
}

func (d *decoder) givenPlaybackID(n node, object *playback.Object) {
	text, ok := d.text(n)
	id := playback.ID(text)
	switch {
	case !ok:
	case !id.Valid():
		d.problem(n, "%.80q is not a playback ID", text)
	case object.ID != "" && object.ID != id:
		d.problem(n, "the playback ID is given twice, as %s and as %s", object.ID, id)
	default:
		object.ID = id
	}
}

func (d *decoder) givenPlayback(n node, object *playback.Object) {
	d.fields(n, map[string]func(node){
		"id":    func(v node) { d.givenPlaybackID(v, object) },
		"known": func(v node) { object.Known = d.boolean(v) },
		"policy": func(v node) {
			text, ok := d.text(v)
			switch object.Policy = playback.Policy(text); object.Policy {
			case playback.PolicyPublic, playback.PolicySigned, playback.PolicyDRM, "":
			default:
				if ok {
					d.problem(v, "%.40q is no playback policy: want public, signed or drm", text)
				}
			}
		},
	})
}

func (d *decoder) givenAsset(n node) *playback.Asset {
	asset := &playback.Asset{}
	d.fields(n, map[string]func(node){
		"id": func(v node) {
			text, ok := d.text(v)
			if asset.ID = playback.AssetID(text); ok && !asset.ID.Valid() {
				d.problem(v, "%.80q is not an asset ID", text)
			}
		},
		"duration": func(v node) {
			seconds, ok := d.number(v)
			if asset.Duration = seconds; ok && !(seconds >= 0) {
				d.problem(v, "must not be negative")
			}
		},
		"status":      func(v node) { asset.Status, _ = d.text(v) },
		"passthrough": func(v node) { asset.Passthrough, _ = d.text(v) },
		"meta":        func(v node) { asset.Meta = d.object(v) },
		"created_at":  func(v node) { asset.CreatedAt = d.time(v) },
		"live_stream_id": func(v node) { // no variable: it decides which grants are for the asset
			text, ok := d.text(v)
			if asset.LiveStreamID = playback.LiveStreamID(text); ok && !asset.LiveStreamID.Valid() {
				d.problem(v, "%.80q is not a live-stream ID", text)
			}
		},
	})
	return asset
}

func (d *decoder) givenLiveStream(n node) *playback.LiveStream {
	stream := &playback.LiveStream{}
	d.fields(n, map[string]func(node){
		"id": func(v node) {
			text, ok := d.text(v)
			if stream.ID = playback.LiveStreamID(text); ok && !stream.ID.Valid() {
				d.problem(v, "%.80q is not a live-stream ID", text)
			}
		},
		"status": func(v node) { stream.Status, _ = d.text(v) },
	})
	return stream
}

func (d *decoder) givenRequest(n node, q *playback.Question) {
	client := q.Client
	var params *node
	d.fields(n, map[string]func(node){
		"type": func(v node) {
			if text, ok := d.text(v); ok {
				q.Type, _ = d.tokenType(text, v)
			}
		},
		"ip":         func(v node) { client.IP = d.givenIP(v) },
		"country":    func(v node) { client.Country, _ = d.text(v) },
		"region":     func(v node) { client.Region, _ = d.text(v) },
		"asn":        func(v node) { client.ASN = d.givenASN(v) },
		"referrer":   func(v node) { client.Referrer, _ = d.text(v) },
		"origin":     func(v node) { client.Origin, _ = d.text(v) },
		"user_agent": func(v node) { client.UserAgent, _ = d.text(v) },
		"session_id": func(v node) {
			text, ok := d.text(v)
			if q.SessionID = playback.SessionID(text); ok && text != "" && !q.SessionID.Valid() {
				d.problem(v, "%.80q is not a session ID", text)
			}
		},
		"params": func(v node) { params = &v },
	})
	if params != nil { // after the type, which may stand below
		d.givenParams(*params, q)
	}
}

func (d *decoder) givenParams(n node, q *playback.Question) {
	d.members(n, func(name string, value node) {
		if p, ok := d.param(q.Type, name, value); ok {
			q.Params = q.Params.With(p)
		}
	})
	if err := playback.CheckSent(q.Type, q.Params); err != nil {
		d.problem(n, "%s", err.Message)
	}
}

func (d *decoder) givenIP(n node) netip.Addr {
	text, ok := d.text(n)
	if !ok || text == "" {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		d.problem(n, "%.60q is not an IP address", text)
	}
	return ip
}

func (d *decoder) givenASN(n node) int64 {
	f, ok := d.number(n)
	if ok && (f < 0 || f > math.MaxUint32 || f != math.Trunc(f)) {
		d.problem(n, "want an autonomous system number")
		return 0
	}
	return int64(f)
}

func (d *decoder) givenEnvironment(n node) *object {
	var id, name string
	d.fields(n, map[string]func(node){
		"id": func(v node) {
			text, ok := d.text(v)
			if id = text; ok && !playback.EnvironmentID(text).Valid() {
				d.problem(v, "%.80q is not an environment ID", text)
			}
		},
		"name": func(v node) { name, _ = d.text(v) },
	})
	return newEnvironment(playback.EnvironmentID(id), name)
}
