package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/audit"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/policy"
)

const (
	rulesInForce = `
version: 1
include: [shared.yaml]
rules:
  - {id: premium, effect: allow, when: 'condition.premium && request.country in ["DE", "AT"]', grant: {ttl: 1h}}
messages: {no_matching_rule: {en: Not for you., de: Nicht für Sie.}}
`
	rulesToCome = `
version: 1
include: [shared.yaml]
rules:
  - {id: premium, effect: allow, when: condition.premium}
`
	sharedRules = `
version: 1
conditions: {premium: 'viewer.claims.?plan.orValue("") == "premium"'}
rules:
  - {id: embargo, effect: deny, when: 'asset.meta.?release_at.hasValue() && now < timestamp(asset.meta.release_at)', reason: not_released}
`
)

// rulesFolder has rules of two files, a shadow and a decision log, and returns
// the configuration's path.
func rulesFolder(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256([]byte("secret"))
	dir := t.TempDir()
	for name, text := range map[string]string{
		"acme.yaml": rulesInForce, "next.yaml": rulesToCome, "shared.yaml": sharedRules, "log.key": "a key of the decision log",
		"playgate.yaml": `
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_delay: 0}
keystore: {driver: memory}
store: {driver: memory}
decisions: {output: file, allow: all, pseudonym_key_file: log.key}
organizations:
  - id: acme
    environments:
      - id: acme
        anonymous: true
        access_tokens: [{id: backend, secret_sha256: ` + hex.EncodeToString(sum[:]) + `, permissions: [video:read, system:read, system:write]}]
        playback_ids:
          - {id: FILM, asset: {id: A1, meta: {release_at: "2001-01-01T00:00:00Z"}}}
          - {id: LATER, asset: {id: A2, meta: {release_at: "2100-01-01T00:00:00Z"}}}
        policy_file: acme.yaml
        policy_shadow_file: next.yaml
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "playgate.yaml")
}

const (
	premiumHere   = `{"playback_id":"FILM","viewer":{"id":"alice","claims":{"plan":"premium"},"country":"DE"}}`
	premiumAbroad = `{"playback_id":"FILM","viewer":{"id":"bob","claims":{"plan":"premium"},"country":"US"}}`
	tooEarly      = `{"playback_id":"LATER","viewer":{"claims":{"plan":"premium"},"country":"AT"}}`
)

// TestRulesAreExplainedRecordedShadowedAndPromoted, from end to end.
func TestRulesAreExplainedRecordedShadowedAndPromoted(t *testing.T) {
	t.Parallel()
	path := rulesFolder(t)
	a := started(t, path)
	mint := func(body string, want int) map[string]any {
		t.Helper()
		code, answer := backend(t, a, http.MethodPost, "/v1/tokens", body)
		if code != want {
			t.Fatalf("%s: %d %v, want %d", body, code, answer, want)
		}
		return answer
	}
	mint(premiumHere, http.StatusOK)
	refusal, _ := mint(premiumAbroad, http.StatusForbidden)["error"].(map[string]any)
	if messages, _ := refusal["messages"].([]any); len(messages) != 1 || messages[0] != "Not for you." {
		t.Errorf("refusal = %v, want the document's words", refusal)
	}
	early, _ := mint(tooEarly, http.StatusForbidden)["error"].(map[string]any)
	if early["code"] != "not_released" || early["available_from"] != 4102444800.0 {
		t.Errorf("refusal = %v, want one that says from when", early)
	}

	code, explained := backend(t, a, http.MethodPost, "/v1/explain", premiumAbroad)
	if code != http.StatusOK || explained["effect"] != "deny" {
		t.Fatalf("explain: %d %v", code, explained)
	}
	rules, _ := explained["types"].([]any)[0].(map[string]any)["rules"].(map[string]any)
	flip, _ := rules["flips"].([]any)[0].(map[string]any)
	if flip["text"] != "allowed if request.country ∈ {AT, DE}" {
		t.Errorf("the first flip is %v", flip)
	}
	mint(strings.Replace(premiumAbroad, "US", "AT", 1), http.StatusOK)
	if _, here := backend(t, a, http.MethodPost, "/v1/explain", premiumHere); here["plan"] == nil ||
		here["types"].([]any)[0].(map[string]any)["cache"] != "hit" {
		t.Errorf("explain of what was minted: %v", here)
	}

	admin := "http://" + a.AdminAddr().String()
	_, metrics := get(t, admin+"/metrics")
	for _, want := range []string{
		`playgate_policy_shadow_total{environment="acme",result="gained"} 1`,
		`playgate_policy_info{environment="acme",revision="`, `role="shadow"`, `playgate_decision_log_records_total{result="dropped"} 0`,
		`playgate_policy_decisions_total{effect="allow",environment="acme",reason="",rule="premium"} 2`,
		`playgate_policy_decisions_total{effect="deny",environment="acme",reason="no_matching_rule",rule=""} 1`,
		`playgate_policy_decisions_total{effect="deny",environment="acme",reason="not_released",rule="embargo"} 1`,
		`playgate_http_requests_total{environment="acme",method="POST",route="/v1/tokens",status="200"} 2`,
		`playgate_refusals_total{code="denied_by_rule",environment="acme"} 1`, `playgate_build_info{commit="`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	promote(t, a, path, func() { mint(premiumAbroad, http.StatusOK) })
	if _, metrics = get(t, admin+"/metrics"); !strings.Contains(metrics, `reason="",rule="premium"} 3`) {
		t.Error("the rule's decisions were not counted on after the promotion")
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	readDecisions(t, filepath.Join(filepath.Dir(path), "decisions.log"))
}

func promote(t *testing.T, a *app.App, path string, afterwards func()) {
	t.Helper()
	_, before := backend(t, a, http.MethodGet, "/v1/policy", "")
	shadow, _ := before["shadow"].(map[string]any)
	code, answer := backend(t, a, http.MethodPost, "/v1/policy/promote", `{"revision":"000000000000"}`)
	want := fmt.Sprintf("Revision \"000000000000\" was to be promoted, but the shadow's is %s; revision %s is in force.", shadow["revision"], before["revision"])
	if code != http.StatusConflict || !strings.Contains(fmt.Sprint(answer), want) {
		t.Errorf("promoting another revision: %d %v, want 409 and %s", code, answer, want)
	}
	code, after := backend(t, a, http.MethodPost, "/v1/policy/promote", "")
	if code != http.StatusOK || after["revision"] != shadow["revision"] || after["revision"] == before["revision"] {
		t.Errorf("promoting: %d %v, want the shadow's revision %v", code, after, shadow)
	}
	if text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "acme.yaml")); err != nil || string(text) != rulesToCome {
		t.Errorf("policy_file = %q, %v, want what the shadow says", text, err)
	}
	afterwards()
}

// readDecisions checks what was recorded, and that the records can be replayed.
func readDecisions(t *testing.T, path string) {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), "alice") || strings.Contains(string(log), "eyJ") {
		t.Errorf("the log names a viewer or holds a token: %s", log)
	}
	var got []string
	_, err = audit.Read(bytes.NewReader(log), audit.Filter{}, func(r *audit.Record, _ []byte) error {
		got = append(got, strings.Join([]string{r.Decision, r.Rule, string(r.Reason), string(r.PlaybackID), r.Country}, " "))
		return nil
	})
	want := []string{
		"allow premium  FILM DE", "deny  no_matching_rule FILM US", "deny embargo not_released LATER AT", "allow premium  FILM AT", "allow premium  FILM US",
	}
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("decisions %q, %v, want %q", got, err, want)
	}
	compile := func(text string) *policy.Policy {
		p, err := policy.CompileAlone([]byte(text), policy.Options{ReadFile: func(string) ([]byte, error) { return []byte(sharedRules), nil }})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	diff, err := policy.Diff(t.Context(), compile(rulesInForce), compile(rulesToCome), bytes.NewReader(log), policy.DiffOptions{})
	if err != nil || diff.Records != 5 || diff.Gained != 2 || diff.Lost != 0 || diff.Otherwise != 1 { // the last one is of the new rules
		t.Errorf("Diff = %+v, %v, want 2 of 5 gained", diff, err)
	}
}

func TestRulesThatOthersHaveTooAreNotReplaced(t *testing.T) {
	t.Parallel()
	path := rulesFolder(t)
	dir := filepath.Dir(path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("acme.yaml", filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	more := string(text) + "      - {id: other, policy_file: link.yaml}\n"
	if err := os.WriteFile(path, []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	_, warnings, err := app.Check(path, nil)
	warned := slices.ContainsFunc(warnings, func(p configs.Problem) bool { return strings.Contains(p.Message, "cannot be promoted") })
	if err != nil || !warned {
		t.Errorf("Check = %v, %v, want a warning", warnings, err)
	}
	a := started(t, path)
	if code, answer := backend(t, a, http.MethodPost, "/v1/policy/promote", ""); code != http.StatusConflict {
		t.Errorf("promoting: %d %v, want 409", code, answer)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "acme.yaml")); err != nil || string(text) != rulesInForce {
		t.Errorf("policy_file = %q, %v, want what it was", text, err)
	}
}

func TestCheckLooksAtWhereTheGatewayWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, changed, want string }{
		"no folder for the store":    {"\nstore: {driver: memory}", "\nstore: {dsn: nowhere/playgate.db}", "store.dsn: there is no folder"},
		"no folder for decisions":    {"pseudonym_key_file", "file: {path: nowhere/log}, pseudonym_key_file", "decisions.file.path: there is no folder"},
		"decisions over the gateway": {"pseudonym_key_file", "file: {path: playgate.yaml}, pseudonym_key_file", "decisions.file.path: is the configuration itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := rulesFolder(t)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(text), c.old, c.changed, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := app.Check(path, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Check = %v, want %q", err, c.want)
			}
		})
	}
}

func TestABrokenShadowIsAProblem(t *testing.T) {
	t.Parallel()
	path := rulesFolder(t)
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "next.yaml"), []byte("version: 1\nrules: [{id: a, effect: alow, when: true}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := app.Check(path, nil)
	if err == nil || !strings.Contains(err.Error(), "policy_shadow_file") || !strings.Contains(err.Error(), "did you mean allow? ("+filepath.Join(filepath.Dir(path), "next.yaml")+":2:25)") {
		t.Errorf("Check = %v, want the shadow's mistake", err)
	}
}
