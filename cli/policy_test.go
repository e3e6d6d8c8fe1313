package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playgate/playgate/audit"
	"github.com/playgate/playgate/cli"
	"github.com/playgate/playgate/playback"
)

const document = `
version: 1
include: [shared.yaml]
rules:
  - {id: licensed, effect: allow, when: 'condition.home && viewer.claims.?plan.orValue("") == "premium"'}
tests:
  - {name: here, given: {viewer: {claims: {plan: premium}}, request: {country: DE}}, expect: {effect: allow}}
`

// folder is a folder with some files; run runs a command line in which @ stands
// for it.
func folder(t *testing.T, files map[string]string) (run func(args ...string) (status int, out, errs string)) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(args ...string) (int, string, string) {
		for i := range args {
			if name, ok := strings.CutPrefix(args[i], "@"); ok {
				args[i] = filepath.Join(dir, name)
			}
		}
		var out, errs strings.Builder
		status := cli.Run(&cli.Process{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
		return status, strings.ReplaceAll(out.String(), dir+"/", ""), strings.ReplaceAll(errs.String(), dir+"/", "")
	}
}

func rules() map[string]string {
	return map[string]string{
		"p.yaml": document, "shared.yaml": "version: 1\nconditions: {home: 'request.country in [\"DE\", \"AT\"]'}\n",
		"config.yaml": "keystore: {driver: memory}\norganizations: [{id: acme, environments: [{id: acme, policy_file: p.yaml}]}]\n",
	}
}

func TestPolicyExplain(t *testing.T) {
	t.Parallel()
	run := folder(t, rules())
	const given = `{"request": {"country": "US"}, "viewer": {"claims": {"plan": "premium"}}}`
	for _, args := range [][]string{
		{"policy", "explain", "@p.yaml", "--given", given},
		{"policy", "explain", "--config", "@config.yaml", "--environment", "acme", "--given", given},
	} {
		status, out, errs := run(args...)
		if status != 0 || errs != "" || !strings.HasPrefix(out, "deny  code no_matching_rule  revision ") ||
			!strings.Contains(out, `request.country="US" viewer.claims.plan="premium"`) || !strings.Contains(out, "allowed if request.country ∈ {AT, DE}  (rule licensed)\n") {
			t.Errorf("%q: status %d, %s%s", args, status, out, errs)
		}
	}
	status, out, _ := run("policy", "explain", "@p.yaml", "--json", "--given", given)
	var x playback.Explanation
	if err := json.Unmarshal([]byte(out), &x); status != 0 || err != nil || len(x.Flips) != 1 || x.Flips[0].Changes[0].Variable != "request.country" {
		t.Errorf("status %d, %v, %s", status, err, out)
	}
	status, _, errs := run("policy", "explain", "@p.yaml", "--given", `{"viwer": {}}`)
	if status != 1 || !strings.Contains(errs, "did you mean viewer? (given, line 1, column 11)") {
		t.Errorf("status %d, %s, want 1 and what is wrong with the question", status, errs)
	}
	if status, _, errs := run("policy", "explain", "--given", given); status != 1 || !strings.Contains(errs, "want a file with rules, or --config FILE --environment NAME for the rules of an environment") {
		t.Errorf("without rules: status %d, %s", status, errs)
	}
}

// TestRulesInPlaceAreTried: those that stand in the configuration itself, with the
// configuration's own lines.
func TestRulesInPlaceAreTried(t *testing.T) {
	t.Parallel()
	const around = "keystore: {driver: memory}\norganizations:\n  - id: acme\n    environments:\n"
	files := map[string]string{
		"config.yaml": around + `      - id: acme
        policy:
          version: 1
          rules:
            - id: home
              effect: allow
              when: request.country in ["DE", "AT"]
          tests:
            - {name: here, given: {request: {country: DE}}, expect: {effect: allow, rule: home}}
            - name: there
              given: {request: {country: US}}
              expect: {effect: allow}
      - {id: bare}
`,
		"broken.yaml": around + `      - id: acme
        policy:
          version: 1
          rules:
            - id: home
              effect: allow
              when: requst.country == "DE"
`,
	}
	run := folder(t, files)
	of := func(command, config string, more ...string) (int, string, string) {
		return run(append([]string{"policy", command, "--config", "@" + config, "--environment", "acme"}, more...)...)
	}
	status, out, errs := of("explain", "config.yaml", "--given", `{"request": {"country": "US"}}`)
	if status != 0 || !strings.HasPrefix(out, "deny  code no_matching_rule") || !strings.Contains(out, "allowed if request.country ∈ {AT, DE}") {
		t.Errorf("explain: status %d, %s%s", status, out, errs)
	}
	status, out, errs = of("test", "config.yaml")
	const place = "config.yaml: organizations[0].environments[0].policy"
	if status != 1 || !strings.Contains(out, place) || !strings.Contains(out, "there (line 14)") || strings.Contains(out, "FAIL  here") {
		t.Errorf("test: status %d, %s%s", status, out, errs)
	}
	if status, out, errs = of("check", "config.yaml"); status != 0 || !strings.Contains(out, place+": ok\n") {
		t.Errorf("check: status %d, %s%s", status, out, errs)
	}
	for _, c := range [][]string{{"explain", "--given", "{}"}, {"test"}, {"check"}} {
		status, out, errs := of(c[0], "broken.yaml", c[1:]...)
		const want = "error: broken.yaml: organizations[0].environments[0].policy: rules[0].when: there is no variable requst; did you mean request? (line 11)\n"
		if status != 1 || out != "" || errs != want {
			t.Errorf("%s: status %d, %s%s, want %s", c, status, out, errs, want)
		}
	}
	for env, want := range map[string]string{
		"bare": "environment bare has no rules: neither policy nor policy_file; everything is denied",
		"acne": `there is no environment "acne"; did you mean acme?`, "nowhere": `there is no environment "nowhere"; want one of acme, bare`,
	} {
		status, _, errs := run("policy", "test", "--config", "@config.yaml", "--environment", env)
		if status != 1 || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %s, want %s", env, status, errs, want)
		}
	}
	if status, _, errs := run("policy", "test"); status != 1 || !strings.Contains(errs, "want a file with rules, or --config FILE --environment NAME") {
		t.Errorf("without rules: status %d, %s", status, errs)
	}
}

// TestProblemsOfRuleFilesHaveOnePlace: in the file of the rules, not also where
// the configuration names that.
func TestProblemsOfRuleFilesHaveOnePlace(t *testing.T) {
	t.Parallel()
	files := rules()
	files["config.yaml"] = strings.Replace(files["config.yaml"], "policy_file: p.yaml", "policy_file: p.yaml, policy_shadow_file: next.yaml", 1)
	files["p.yaml"] = "version: 1\ninclude: [shared.yaml]\nsets: {s: s.txt}\nrules:\n  - {id: a, effect: allow, when: requst.country == 'DE'}\n"
	files["shared.yaml"] = "version: 1\nrules:\n  - {id: b, effect: alow, when: true}\n"
	files["s.txt"] = "# ours\nDE, AT\n"
	files["next.yaml"] = "version: 1\nrules:\n  - {id: a, effect: allow, when: viewer.idd == 'x'}\n"
	status, _, errs := folder(t, files)("check-config", "@config.yaml")
	const at = "error: organizations[0].environments[0].policy"
	for _, want := range []string{
		at + "_file: rules[0].when: there is no variable requst; did you mean request? (p.yaml:5:34)\n",
		at + `_file: rules[0].effect: "alow" is no effect: want allow or deny; did you mean allow? (shared.yaml:3:21)` + "\n",
		at + `_file: sets.s: "DE, AT" has a comma; `, `(s.txt:2)` + "\n",
		at + "_shadow_file: rules[0].when: viewer has no field idd; did you mean id? (next.yaml:3:40)\n",
	} {
		if status != 1 || !strings.Contains(errs, want) {
			t.Errorf("status %d, want %s in\n%s", status, want, errs)
		}
	}
	if strings.Contains(errs, "(line ") || strings.Contains(errs, ") (") {
		t.Errorf("a second place in\n%s", errs)
	}
}

// TestIssuersThatTheConfigurationDoesNotHaveAreNamed: whatever they are near to, in
// conditions and in questions.
func TestIssuersThatTheConfigurationDoesNotHaveAreNamed(t *testing.T) {
	t.Parallel()
	files := rules()
	files["keys.json"] = `{"keys":[]}`
	files["config.yaml"] = strings.Replace(files["config.yaml"], "policy_file: p.yaml", "policy_file: p.yaml, viewers: ["+
		"{alias: main, issuer: https://a.example/, audience: x, algorithms: [RS256], jwks_file: keys.json}, {alias: partner, issuer: https://b.example/, audience: x, algorithms: [RS256], jwks_file: keys.json}]", 1)
	files["p.yaml"] = "version: 1\nrules: [{id: a, effect: allow, when: \"viewer.issuer in ['main', 'google']\"}]\n" +
		"tests: [{name: t, given: {viewer: {issuer: okta, id: u}}, expect: {effect: deny}}, {name: u, given: {viewer: {issuer: main, id: u}}, expect: {effect: allow}}]\n"
	run := folder(t, files)
	context := []string{"--config", "@config.yaml", "--environment", "acme"}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"policy", "check"}, []string{`viewer.issuer is never "google": the environment's issuers are main, partner`, `given.viewer.issuer is never "okta": the environment's issuers are main, partner`}},
		{[]string{"policy", "test"}, []string{`warning: p.yaml: line 3 (t): given.viewer.issuer is never "okta": the environment's issuers are main, partner`}},
		{[]string{"policy", "explain", "--given", `{"viewer": {"issuer": "okta", "id": "u"}}`}, []string{`warning: --given: given.viewer.issuer is never "okta": the environment's issuers are main, partner`}},
		{[]string{"policy", "explain", "--given", `{"viewer": {"issuer": "main", "id": "u"}}`}, nil},
	} {
		status, out, errs := run(append(c.args, context...)...)
		if status != 0 || strings.Count(errs, "\n") != len(c.want) {
			t.Errorf("%q: status %d, %s%s, want %q", c.args, status, out, errs, c.want)
		}
		for _, want := range c.want {
			if !strings.Contains(errs, want+"\n") {
				t.Errorf("%q: %s, want %s", c.args, errs, want)
			}
		}
	}
	if status, _, errs := run("policy", "check", "@p.yaml"); status != 0 || errs != "" {
		t.Errorf("without a configuration: status %d, %s", status, errs)
	}
}

// TestExplainReadsTheCatalogue of the configuration: a playback ID that is given
// alone is what the gateway would take it for.
func TestExplainReadsTheCatalogue(t *testing.T) {
	t.Parallel()
	files := rules()
	files["config.yaml"] = strings.Replace(files["config.yaml"], "policy_file: p.yaml", "policy_file: p.yaml, playback_ids: [{id: P1, policy: signed, asset: {id: A1, meta: {released: '2027-01-01T00:00:00Z'}}}]", 1)
	files["p.yaml"] = "version: 1\nrules: [{id: embargo, effect: deny, when: 'playback.known && timestamp(asset.meta.released) > now', reason: not_released}, {id: all, effect: allow, when: 'true'}]\n"
	run := folder(t, files)
	for given, want := range map[string]string{
		`{"playback_id": "P1"}`:                                "deny  rule embargo  code not_released",
		`{"playback_id": "P2"}`:                                "allow  rule all",
		`{"playback_id": "P1", "playback": {"known": false}}`:  "allow  rule all", // as a decision was recorded
		`{"playback_id": "P1", "now": "2027-02-01T00:00:00Z"}`: "allow  rule all",
	} {
		status, out, errs := run("policy", "explain", "--config", "@config.yaml", "--environment", "acme", "--given", given)
		if status != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("%s: status %d, %s%s, want %s", given, status, out, errs, want)
		}
	}
}

// TestExplanationsAreTests: what explain prints with --tests can be put below a
// document's tests as it is, and passes.
func TestExplanationsAreTests(t *testing.T) {
	t.Parallel()
	files := rules()
	files["held.yaml"] = "version: 1\nrules: [{id: r, effect: allow, when: 'viewer.grants.exists(g, g.type == \"rental\") && request.country in [\"DE\"]'}]\n"
	const given = `{"viewer": {"id": "u1", "grants": [
		{"id": "g1", "type": "rental", "until": "2026-06-01T00:00:00Z"}, {"id": "g2", "type": "rental", "scope": {"asset_id": "A2"}, "play_within": "48h", "attributes": {"price": "4.99"}}]},
		"asset": {"id": "A1", "created_at": "2026-01-01T00:00:00Z"}, "playback_id": "P1", "now": "2026-07-01T12:00:00Z", "request": {"country": "DE", "type": "video", "params": {"max_resolution": "720p"}}}`
	run := folder(t, files)
	status, out, errs := run("policy", "explain", "@held.yaml", "--given", given)
	for _, want := range []string{
		"not in force: grant g1 (rental): ended at 2026-06-01T00:00:00Z\n", "not in force: grant g2 (rental): is for asset A2\n",
		"allowed if grant g1 is extended (it ended at 2026-06-01T00:00Z)  (rule r)\n", "allowed if grant g2 is for asset A1 (it is for asset A2)  (rule r)\n",
	} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("status %d, %s%s, want %q", status, out, errs, want)
		}
	}
	status, out, errs = run("policy", "explain", "@held.yaml", "--tests", "--given", given)
	if status != 0 || strings.Count(out, "\n") < 4 {
		t.Fatalf("status %d, %s%s, want tests", status, out, errs)
	}
	files["held.yaml"] += "tests:\n" + out
	run = folder(t, files)
	if status, out, errs := run("policy", "test", "@held.yaml"); status != 0 {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}

func TestPolicyTestFailsOnWhatIsNeverReachedAndWritesJUnit(t *testing.T) {
	t.Parallel()
	files := rules()
	files["dead.yaml"] = "version: 1\nrules: [{id: all, effect: allow, when: true}, {id: dead, effect: allow, when: viewer.authenticated}]\n"
	files["broken.yaml"] = "version: 1\nrules: [{id: a, effect: alow, when: true}]\n"
	run := folder(t, files)
	if status, out, errs := run("policy", "test", "@p.yaml"); status != 0 || errs != "" {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	status, out, errs := run("policy", "test", "@p.yaml", "@dead.yaml", "@broken.yaml", "--junit", "@results.xml")
	if status != 1 || !strings.Contains(out, "FAIL  rules[1] (dead): is never reached") || !strings.Contains(errs, "did you mean allow? (line 2, column 25)") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	if status, out, errs := run("policy", "check", "@results.xml"); status != 1 || strings.Contains(errs, "no such file") {
		t.Errorf("the results were not written: %d, %s%s", status, out, errs)
	}
}

func TestDecisionsAreFoundAndReplayed(t *testing.T) {
	t.Parallel()
	files := rules()
	name := audit.Pseudonym(playback.NewSecret("a key of sixteen or more"), "acme", "main", "alice")
	files["log.key"] = "a key of sixteen or more"
	files["config.yaml"] = "decisions: {output: stdout, pseudonym_key_file: log.key}\n" + files["config.yaml"]
	files["next.yaml"] = "version: 1\nrules: [{id: all, effect: allow, when: true}]\n"
	files["d.log"] = `{"time":"2026-06-01T00:00:00Z","environment":"acme","decision":"deny","rule":"","reason":"no_matching_rule","viewer":"` + name + `","type":"video","inputs":{"request":{"type":"video","country":"US"},"now":"2026-06-01T00:00:00Z"}}
{"time":"2026-06-01T00:00:01Z","environment":"acme","decision":"allow","rule":"licensed","viewer":"x","type":"video","inputs":{"viewer":{"claims":{"plan":"premium"}},"request":{"type":"video","country":"DE"},"now":"2026-06-01T00:00:01Z"}}
`
	run := folder(t, files)
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, 2},
		{[]string{"--decision", "deny"}, 1},
		{[]string{"--rule", "licensed"}, 1},
		{[]string{"--viewer", name}, 1},
		{[]string{"--viewer", "alice", "--config", "@config.yaml", "--environment", "acme"}, 1},
		{[]string{"--since", "2026-06-01T00:00:01Z"}, 1},
		{[]string{"--since", "1h"}, 0},
		{[]string{"--text", `"country":"US"`, "--json"}, 1},
	} {
		status, out, errs := run(append([]string{"decisions", "grep", "@d.log"}, c.args...)...)
		if status != 0 || errs != "" || strings.Count(out, "\n") != c.want {
			t.Errorf("%q: status %d, %s%s, want %d records", c.args, status, out, errs, c.want)
		}
	}
	status, out, errs := run("decisions", "grep", "@d.log", "--viewer", "alice", "--issuer", "mian", "--config", "@config.yaml", "--environment", "acme")
	if status != 0 || out != "" || errs != "--issuer: is no issuer of this environment; did you mean main?\n" {
		t.Errorf("an issuer that there is not: status %d, %s%s", status, out, errs)
	}
	status, out, errs = run("policy", "diff", "@p.yaml", "@next.yaml", "--decisions", "@d.log", "--decisions", "@d.log")
	if status != 0 || !strings.Contains(out, ": 4 decisions\n  gained   2\n  lost     0\n") || !strings.Contains(out, "no_matching_rule → all") {
		t.Errorf("diff: status %d, %s%s", status, out, errs)
	}
	for _, args := range [][]string{
		{"decisions", "grep", "@d.log", "--since", "10x"},
		{"decisions", "grep", "@d.log", "--viewer", "alice"},
		{"decisions", "tail", "@d.log", "--viewer", "alice"},
		{"decisions", "grep", "@d.log", "--viewer", "alice", "--config", "@config.yaml"},
		{"decisions", "grep", "@d.log", "--viewer", "alice", "--config", "@config.yaml", "--environment", "acne"},
		{"decisions", "grep", "@nowhere.log"},
		{"decisions", "grep", "@p.yaml"},
		{"decisions", "tail", "@nowhere.log"},
		{"policy", "diff", "@p.yaml", "@next.yaml", "--decisions", "@p.yaml"},
	} {
		if status, _, errs := run(args...); status != 1 || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d, %q, want 1 and one line", args, status, errs)
		}
	}
}

// TestPolicyDiffWithoutALogReplaysTests of both documents.
func TestPolicyDiffWithoutALogReplaysTests(t *testing.T) {
	t.Parallel()
	files := rules()
	files["next.yaml"] = "version: 1\nrules: [{id: none, effect: deny, when: true, reason: closed}]\n"
	files["bare.yaml"] = files["next.yaml"]
	both := files["p.yaml"]
	files["same.yaml"] = strings.Replace(both, `"premium"'`, `"gold"'`, 1)
	run := folder(t, files)
	status, out, errs := run("policy", "diff", "@p.yaml", "@same.yaml")
	if status != 0 || !strings.Contains(out, ": 1 test\n") || !strings.Contains(out, "note: 1 test passes with the old document and fails with the new one: here\n") {
		t.Errorf("a test that both documents have: status %d, %s%s", status, out, errs)
	}
	status, out, errs = run("policy", "diff", "@p.yaml", "@next.yaml")
	if status != 0 || errs != "" || !strings.Contains(out, ": 1 test\n  gained   0\n  lost     1\n") ||
		!strings.Contains(out, "lost, test \"here\", line 7 of the old document: licensed → none (closed)") ||
		!strings.Contains(out, "note: 1 test passes with the old document and fails with the new one: here\n") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	status, _, errs = run("policy", "diff", "@next.yaml", "@bare.yaml")
	if status != 1 || !strings.Contains(errs, "neither document has tests to replay: name files of the decision log with --decisions") {
		t.Errorf("without tests: status %d, %s", status, errs)
	}
}
