package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// worstRules is the most expensive document that we know how to write: every rule
// would take from tens of milliseconds to forever if its calls were charged after
// they have run. None of them matches.
func worstRules() string {
	nested := `"a"`
	for range 20 {
		nested = `string("a".matches(` + nested + `))`
	}
	conditions := []string{
		`sets.intersects(viewer.claims.list, viewer.claims.other)`,
		`sets.equivalent(viewer.claims.list + viewer.claims.list, viewer.claims.list + viewer.claims.other)`,
		`viewer.claims.text.replace("", viewer.claims.text) == ""`,
		`viewer.claims.list.join(viewer.claims.text) == ""`,
		`viewer.claims.text.indexOf(viewer.claims.half + "b") == 0`,
		`viewer.claims.text.matches("(a?){30}a{30}b")`,
		`viewer.claims.list.exists(x, x.matches(viewer.claims.pattern))`,
		`viewer.claims.list.exists(x, viewer.claims.other.exists(y, x == y))`,
		`viewer.claims.list.exists(x, viewer.claims.text.reverse() == x)`,
		`viewer.claims.list.exists(x, size(viewer.claims.text) == 0)`,
		`viewer.claims.list.exists(x, viewer.claims[viewer.claims.text] == x)`,
		`optional.of([viewer.id])` + strings.Repeat(".optMap(x, [x, x])", 18) + `.optMap(x, x == x && x == []).value()`,
		`optional.of(viewer.claims.text)` + strings.Repeat(".optMap(x, x + x)", 18) + `.value() == ""`,
		`"%s%s".format([viewer.claims, viewer.claims]) == ""`,
		nested + ` == viewer.id`,
	}
	var b strings.Builder
	b.WriteString("version: 1\nrules:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  - {id: r%d, effect: allow, when: '%s'}\n", i, conditions[i%len(conditions)])
	}
	return b.String()
}

// largestViewer is a backend's viewer with as much in it as a body may have.
func largestViewer(t *testing.T) string {
	t.Helper()
	list, other := make([]string, 1200), make([]string, 1200)
	for i := range list {
		list[i], other[i] = fmt.Sprintf("a%04d", i), fmt.Sprintf("b%04d", i)
	}
	text, err := json.Marshal(map[string]any{"id": "u1", "claims": map[string]any{
		"list": list, "other": other, "text": strings.Repeat("a", 28_000), "half": strings.Repeat("a", 12_000), "pattern": strings.Repeat("(a{1000})", 100),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// p99 returns the 99th percentile of the times of an environment's requests.
func (g *gateway) p99(t *testing.T, environment string, requests int) time.Duration {
	t.Helper()
	times := make([]time.Duration, requests)
	for i := range times {
		begin := time.Now()
		r := must(t, http.MethodGet, g.url+"/v1/playback-ids/PID"+environment+"/token", "", "Authorization", basic("tok-"+environment))
		times[i] = time.Since(begin)
		if r.status != http.StatusOK {
			t.Fatalf("status %d %s, want 200", r.status, r.body)
		}
	}
	slices.Sort(times)
	return times[requests*99/100]
}

// TestChaosTheWorstRulesHoldNobodyUp: an environment whose rules are as expensive
// as they can be is answered, refused, within the time of a request, and another
// environment is served meanwhile.
func TestChaosTheWorstRulesHoldNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "good", "heavy")
	w.files["rules-heavy.yaml"] = worstRules()
	w.files["playgate.yaml"] = strings.ReplaceAll(w.files["playgate.yaml"], `permissions: ["video:read"]`, `permissions: ["video:read", "video:write", "system:read"]`)
	g := launch(t, w.files)
	g.await("ready", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	viewer := largestViewer(t)
	mint := `{"playback_id":"PIDheavy","types":["video","thumbnail","gif","storyboard"],"viewer":` + viewer + `}`
	post := func(path, body string) (reply, time.Duration) {
		begin := time.Now()
		r, err := call(http.MethodPost, g.url+path, body, "Authorization", basic("tok-heavy"))
		if err != nil {
			t.Errorf("POST %s: %v", path, err)
		}
		return r, time.Since(begin)
	}
	before := g.p99(t, "good", 300)

	var stop atomic.Bool
	var attackers sync.WaitGroup
	var mu sync.Mutex
	var longest time.Duration
	answered := 0
	for range 3 {
		attackers.Go(func() {
			for !stop.Load() {
				r, took := post("/v1/tokens", mint)
				if r.status != http.StatusForbidden || !strings.Contains(string(r.body), "policy_error") {
					t.Errorf("the worst rules: status %d %.300s, want 403 policy_error", r.status, r.body)
					return
				}
				mu.Lock()
				answered++
				longest = max(longest, took)
				mu.Unlock()
			}
		})
	}
	during := g.p99(t, "good", 300)
	stop.Store(true)
	attackers.Wait()
	t.Logf("p99 of another environment: %s before, %s during; %d requests of the worst rules, the longest took %s", before, during, answered, longest)
	if answered == 0 {
		t.Error("no request of the worst rules was answered")
	}

	explained, took := post("/v1/explain", mint)
	t.Logf("POST /v1/explain: status %d, %d bytes, %s", explained.status, len(explained.body), took)
	if explained.status != http.StatusOK || len(explained.body) > 1<<20 {
		t.Errorf("POST /v1/explain: status %d, %d bytes, want 200 and at most 1 MiB", explained.status, len(explained.body))
	}
	item := `{"playback_id":"PIDheavy","viewer":` + viewer + `}`
	batch, took := post("/v1/tokens/batch", `{"requests":[`+strings.TrimSuffix(strings.Repeat(item+",", 8), ",")+`]}`)
	t.Logf("POST /v1/tokens/batch: status %d, %s", batch.status, took)
	if n := strings.Count(string(batch.body), "policy_error"); batch.status != http.StatusOK || n != 8 {
		t.Errorf("POST /v1/tokens/batch: status %d, %d of 8 items refused with policy_error: %.300s", batch.status, n, batch.body)
	}
	metrics := string(must(t, http.MethodGet, g.admin+"/metrics", "").body)
	if !strings.Contains(metrics, `playgate_policy_stopped_total{environment="heavy",limit="expression",rule="r0"}`) {
		t.Error("playgate_policy_stopped_total does not count")
	}
	if r := must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDgood/token", "", "Authorization", basic("tok-good")); r.status != http.StatusOK {
		t.Errorf("afterwards: status %d, want 200", r.status)
	}
}
