package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/store/storetest"
)

// modelRules deny one film by what Mux says of it, and allow by grants.
const modelRules = `
version: 1
rules:
  - {id: embargo, effect: deny, when: 'asset.passthrough == "secret"', reason: not_released}
  - {id: held, effect: allow, when: viewer.grants.size() > 0, grant: {ttl: 3h, types: [video]}}
`

// modelTime is how long the model is tried.
const modelTime = 10 * time.Second

// held is what a grant may be: "" nothing, else what it is for.
type held []string

// model is two gateways that share PostgreSQL, and what they may answer.
type model struct {
	t        *testing.T
	w        *muxWorld
	rand     *rand.Rand
	database *storetest.Postgres
	gateways [2]*gateway
	films    []*film
	pending  []delivery
	grants   map[string]held  // by ID; more than one entry: nobody knows
	windows  map[string]int64 // the end of a rental that has begun
	up       bool             // the database
	since    time.Time        // when it came up or went
	steps    []string
	answers  map[string]int
}

type delivery struct {
	film, state int
	body        []byte
}

func (m *model) note(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\nafter\n%s", fmt.Sprintf(format, args...), strings.Join(m.steps[max(0, len(m.steps)-40):], "\n"))
}

func (m *model) possible(f *film, g int) []filmState {
	if !m.up {
		return f.possible(g, time.Time{})
	}
	return f.possible(g, m.since)
}

// excused reports whether 503 is an answer now.
func (m *model) excused() bool { return !m.up || time.Since(m.since) < heardOf }

func (m *model) send(g int, method, path, body string) int {
	r, err := call(method, m.gateways[g].url+path, body, "Authorization", basic("tok-acme"))
	if err != nil {
		m.fail("%s %s: %v", method, path, err)
	}
	if r.status == http.StatusServiceUnavailable && !m.excused() {
		m.fail("%s %s: 503 although the database is there: %s", method, path, r.body)
	}
	return r.status
}

const modelViewers = 3

// grantID returns one of a viewer's grants; the viewer is part of it.
func grantID(viewer, n int) string { return fmt.Sprintf("v%d-%d", viewer, n) }

func (m *model) putGrant() {
	viewer, g := m.rand.IntN(modelViewers), m.rand.IntN(2)
	id := grantID(viewer, m.rand.IntN(2))
	f := m.anyFilm()
	what := [...][2]string{{"all", `{"all":true}`}, {f.asset, `{"asset_id":"` + f.asset + `"}`}, {f.id, `{"playback_id":"` + f.id + `"}`}}[m.rand.IntN(3)]
	status := m.send(g, "PUT", "/v1/grants/"+id, fmt.Sprintf(`{"viewer":{"id":"v%d"},"type":"purchase","scope":%s}`, viewer, what[1]))
	m.note("gateway %d: PUT %s for %s: %d", g, id, what[0], status)
	m.became(id, what[0], status, http.StatusOK, http.StatusCreated)
}

func (m *model) deleteGrant() {
	g, id := m.rand.IntN(2), grantID(m.rand.IntN(modelViewers), m.rand.IntN(2))
	status := m.send(g, "DELETE", "/v1/grants/"+id, "")
	m.note("gateway %d: DELETE %s: %d", g, id, status)
	m.became(id, "", status, http.StatusNoContent, http.StatusNotFound)
}

// became notes what a grant is now, or may be.
func (m *model) became(id, what string, status int, good ...int) {
	switch {
	case slices.Contains(good, status):
		m.grants[id] = held{what}
	case status != http.StatusServiceUnavailable:
		m.fail("%s: %d", id, status)
	case m.grants[id] == nil:
		m.grants[id] = held{"", what}
	default:
		m.grants[id] = append(m.grants[id], what)
	}
}

// rent gives a rental anew, which begins a new window.
func (m *model) rent() {
	g, id := m.rand.IntN(2), fmt.Sprintf("rental-%d", m.rand.IntN(modelViewers))
	status := m.send(g, "DELETE", "/v1/grants/"+id, "")
	m.became(id, "", status, http.StatusNoContent, http.StatusNotFound)
	delete(m.windows, id)
	if status == http.StatusServiceUnavailable {
		m.windows[id] = -1 // it may have begun
	}
	status = m.send(g, "PUT", "/v1/grants/"+id, `{"viewer":{"id":"`+id+`"},"type":"rental","scope":{"all":true},"play_within":"1h"}`)
	m.note("gateway %d: rent %s: %d", g, id, status)
	m.became(id, "all", status, http.StatusOK, http.StatusCreated)
}

// newFilm makes a film that Mux has told of to neither gateway.
func (m *model) newFilm() {
	n := len(m.films)
	f := &film{asset: fmt.Sprintf("FilmA%d", n), id: fmt.Sprintf("FilmP%d", n), states: []filmState{{}, {listed: true}}}
	m.films = append(m.films, f)
	m.w.asset(m.t, f.asset, "", muxsim.ID(f.id))
	m.pending = append(m.pending, delivery{n, 1, m.w.webhook(m.t, "mux1", "video.asset.ready", f.asset)})
}

// anyFilm returns one, mostly of the newer ones.
func (m *model) anyFilm() *film {
	if m.rand.IntN(4) == 0 {
		return m.films[m.rand.IntN(len(m.films))]
	}
	return m.films[len(m.films)-1-m.rand.IntN(4)]
}

// changeFilm changes a film at Mux, which tells of it at some time.
func (m *model) changeFilm() {
	n := len(m.films) - 1 - m.rand.IntN(4)
	f := m.films[n]
	s := f.states[len(f.states)-1]
	if s.deleted {
		return
	}
	kind := "video.asset.updated"
	switch m.rand.IntN(16) {
	case 0:
		s.deleted, kind = true, "video.asset.deleted"
		m.newFilm()
	case 1, 2, 3:
		s.secret = !s.secret
	case 4, 5, 6:
		s.listed = !s.listed
	default:
		s.secret, s.listed = false, true
	}
	if s == f.states[len(f.states)-1] {
		return
	}
	var ids []muxsim.ID
	if s.listed {
		ids = []muxsim.ID{muxsim.ID(f.id)}
	}
	if s.deleted {
		if err := m.w.DeleteAsset("mux1", muxsim.AssetID(f.asset)); err != nil {
			m.t.Fatal(err)
		}
	} else {
		m.w.asset(m.t, f.asset, map[bool]string{true: "secret"}[s.secret], ids...)
	}
	f.states = append(f.states, s)
	m.pending = append(m.pending, delivery{n, len(f.states) - 1, m.w.webhook(m.t, "mux1", kind, f.asset)})
	m.note("Mux: %s is %+v", f.asset, s)
}

// deliver delivers a webhook, in any order, and perhaps again later.
func (m *model) deliver() {
	if len(m.pending) == 0 {
		return
	}
	n, g := m.rand.IntN(len(m.pending)), m.rand.IntN(2)
	d := m.pending[n]
	status, result := hook(m.t, m.gateways[g], "acme", d.body, signHook(d.body))
	m.note("gateway %d: webhook about state %d of %s: %d %s", g, d.state, m.films[d.film].asset, status, result)
	switch {
	case status == http.StatusOK:
		m.films[d.film].taken = append(m.films[d.film].taken, taken{g, d.state, time.Now()})
		if m.rand.IntN(3) > 0 {
			m.pending = slices.Delete(m.pending, n, n+1)
		}
	case status != http.StatusServiceUnavailable || !m.excused():
		m.fail("a webhook: %d %s", status, result)
	}
}

// play asks for a token and checks the answer.
func (m *model) play() {
	g, f := m.rand.IntN(2), m.anyFilm()
	n := m.rand.IntN(modelViewers)
	viewer, mine := fmt.Sprintf("v%d", n), []string{grantID(n, 0), grantID(n, 1)}
	if m.rand.IntN(3) == 0 {
		viewer = fmt.Sprintf("rental-%d", n)
		mine = []string{viewer}
	}
	r, err := call(http.MethodPost, m.gateways[g].url+"/v1/tokens", fmt.Sprintf(`{"playback_id":%q,"viewer":{"id":%q}}`, f.id, viewer), "Authorization", basic("tok-acme"))
	if err != nil {
		m.fail("minting: %v", err)
	}
	var answer struct {
		Error struct{ Code string }
		Data  struct {
			Tokens []struct {
				ExpiresAt int64 `json:"expires_at"`
			}
		}
	}
	if err := json.Unmarshal(r.body, &answer); err != nil {
		m.fail("%s: %v", r.body, err)
	}
	got := fmt.Sprint(r.status, answer.Error.Code)
	m.answers[got]++
	m.note("gateway %d: %s plays %s: %s", g, viewer, f.id, got)
	if want := m.wanted(f, g, mine); !slices.Contains(want, got) && (r.status != http.StatusServiceUnavailable || !m.excused()) {
		m.fail("gateway %d answered %s for %s and %s, want one of %v; grants %v, states %+v", g, got, viewer, f.id, want, m.grants, m.possible(f, g))
	}
	if len(answer.Data.Tokens) == 1 && len(mine) == 1 {
		m.window(viewer, answer.Data.Tokens[0].ExpiresAt)
	}
}

// window checks that all tokens of one rental end together.
func (m *model) window(id string, end int64) {
	switch begun, ok := m.windows[id]; {
	case !ok || begun < 0:
		m.windows[id] = end
	case begun != end:
		m.fail("%s ends at %d and at %d", id, begun, end)
	}
}

// wanted are the answers that are right in any world that may be.
func (m *model) wanted(f *film, g int, grants []string) (out []string) {
	may, mayNot := false, true // hold something for the film
	for _, id := range grants {
		possible := m.grants[id]
		fits := func(what string) bool { return what == "all" || what == f.asset || what == f.id }
		may = may || slices.ContainsFunc(possible, fits)
		if len(possible) > 0 && !slices.ContainsFunc(possible, func(what string) bool { return !fits(what) }) {
			mayNot = false
		}
	}
	for _, s := range m.possible(f, g) {
		switch {
		case s.deleted || !s.listed:
			out = append(out, "404unknown_playback_id")
		case s.secret:
			out = append(out, "403not_released")
		default:
			if may {
				out = append(out, "200")
			}
			if mayNot {
				out = append(out, "403no_matching_rule")
			}
		}
	}
	return out
}

// restart ends a gateway, one way or the other, and begins it anew.
func (m *model) restart() {
	if !m.up {
		return
	}
	n := m.rand.IntN(2)
	m.note("gateway %d restarts", n)
	if m.rand.IntN(2) == 0 {
		m.gateways[n].kill()
	} else {
		m.gateways[n].signal(15)
		if err := m.gateways[n].wait(); err != nil {
			m.fail("it ended with %v", err)
		}
	}
	m.gateways[n] = start(m.t, m.w.files)
}

// isTime reports whether the database is to go or to come back.
func (m *model) isTime() bool {
	if m.up {
		return time.Since(m.since) > heardOf+time.Second && m.rand.IntN(500) == 0
	}
	return time.Since(m.since) > time.Second/2
}

func (m *model) crash() {
	m.note("the database: up %v", !m.up)
	if m.up {
		m.database.Kill()
	} else {
		m.database.Start(m.t)
	}
	m.up, m.since = !m.up, time.Now()
}

// TestNoTokenThatTheModelForbids runs grants, webhooks in any order and twice,
// Mux's API, restarts and crashes of the database against a model of what may be
// answered.
func TestNoTokenThatTheModelForbids(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := newMuxWorld(t, `
        mux: {environment_id: mux1, token_id: muxtoken, token_secret_file: muxsecret, base_url: "MUX"}
        catalog: {unknown: deny, max_age: 1s}
`)
	database := storetest.StartPostgres(t)
	w.files["rules-acme.yaml"] = modelRules
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], `["video:read"]`, `["video:read", "video:write"]`, 1) +
		fmt.Sprintf("store: {driver: postgres, dsn: %q}\n", database.DSN())
	m := &model{
		t: t, w: w, rand: rand.New(rand.NewPCG(seed, 1)), database: database, up: true, since: time.Now(),
		grants: map[string]held{}, windows: map[string]int64{}, answers: map[string]int{},
	}
	for range 4 {
		m.newFilm()
	}
	for n := range m.gateways {
		m.gateways[n] = start(t, w.files)
	}
	for end := time.Now().Add(modelTime); time.Now().Before(end); {
		if m.isTime() {
			m.crash()
		}
		switch p := m.rand.IntN(1000); {
		case p < 1:
			m.restart()
		case p < 100:
			m.putGrant()
		case p < 180:
			m.deleteGrant()
		case p < 190:
			m.rent()
		case p < 200:
			m.changeFilm()
		case p < 250:
			m.deliver()
		default:
			m.play()
		}
	}
	t.Logf("%d steps, answers %v", len(m.steps), m.answers)
	if m.answers["200"] < 50 || m.answers["403no_matching_rule"] < 50 {
		t.Errorf("too little was tried: %v", m.answers)
	}
}
