package configs_test

import (
	"testing"

	"github.com/playgate/playgate/configs"
)

func TestSamplingIsAllNoneOrOneInN(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]configs.Sampling{"all": 1, "none": 0, "1/1": 1, "1/100": 100} {
		got := mustLoad(t, "decisions: {allow: "+text+"}", nil).Config.Decisions.Allow
		if got != want {
			t.Errorf("%s = %d, want %d", text, got, want)
		}
	}
	for _, text := range []string{"errors", "1/0", "2/3", "1/-1", "0.5", "1/99999999999"} {
		refused(t, "decisions: {allow: "+text+"}", "decisions.allow", "want all, none, or one in N", nil)
	}
}

func TestADecisionLogNeedsAKeyAndAPlace(t *testing.T) {
	t.Parallel()
	refused(t, "decisions: {output: stdout}", "decisions.pseudonym_key_file", "is required", nil)
	around := files{home + "/key": "a key of sixteen or more"}
	refused(t, "decisions: {pseudonym_key_file: key, output: file, file: {path: ''}}", "decisions.file.path", "is required", around)
	refused(t, "decisions: {pseudonym_key_file: key, output: otlp, otlp_endpoint: 'collector:4318'}", "decisions.otlp_endpoint", "want an absolute URL", around)
	refused(t, "decisions: {pseudonym_key_file: key, output: stdout, rules: [{environment: nowhere, rule: a, allow: all}]}",
		"decisions.rules[0].environment", "there is no environment", around)
	c := mustLoad(t, "decisions: {rules: [{rule: a, allow: none}]}", nil).Config.Decisions
	if len(c.Rules) != 1 || c.Rules[0].Allow != 0 {
		t.Errorf("Rules = %v, want one of which none is kept", c.Rules)
	}
	refused(t, "decisions: {rules: [{rule: a, allow: null}]}", "decisions.rules[0].allow", "is required", nil)
	refused(t, "decisions: {rules: [{rule: a}]}", "decisions.rules[0].allow", "is required", nil)
}

func TestAShadowHasAFileOfItsOwn(t *testing.T) {
	t.Parallel()
	around := files{home + "/p.yaml": "version: 1\n", home + "/next.yaml": "version: 1\nrules: []\n"}
	refused(t, environment("policy_file: p.yaml\npolicy_shadow_file: p.yaml"),
		inEnvironment+"policy_shadow_file", "is policy_file itself", around)
	e := theEnvironment(t, "policy_file: p.yaml\npolicy_shadow_file: next.yaml", around)
	if got := string(e.Shadow.Document); got != around[home+"/next.yaml"] || e.Shadow.File != home+"/next.yaml" {
		t.Errorf("Shadow = %q of %s, want next.yaml", got, e.Shadow.File)
	}
}
