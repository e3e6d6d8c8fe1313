package configs_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/tenant"
)

// FuzzLoad: no document makes Load panic, hang or say yes to what the other
// rooms refuse; what is accepted can be printed, and loads again.
func FuzzLoad(f *testing.F) {
	everything, around := full()
	f.Add([]byte(example))
	f.Add([]byte(everything))
	for _, seed := range []string{
		"", "null", "[]", "{}", "server: {listen: ':1'}", `{"log": {"level": "info", "level": "\ud83d\ude00"}}`, "a: &a [*a]", "x: &x {<<: *x}", "a: !!binary x",
		"server: {<<: [{listen: ':1'}, {}]}", "---\n---\n", "organizations: [{id: a, environments: [{id: b, policy: {a: \"\\n x\\t\", \"<<\": ' ', ~: 1}}]}]",
		"organizations: [{id: a, environments: [{id: b, playback_ids: [{id: 0x1, asset: {id: 1e5, meta: {\"\": .inf}}}]}]}]",
		"organizations: [{id: a, environments: [{id: b, hosts: ['[::1]:1', \"a.\"], cors_origins: ['*'], viewer_cookie: a}]}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		source := configs.Source{Path: home + "/playgate.yaml", Data: append([]byte{}, raw...), ReadFile: around.read, Environ: []string{"PLAYGATE_SERVER_DRAIN_DELAY=1"}}
		loaded, err := source.Load()
		if err != nil {
			var problems configs.Problems
			if !errors.As(err, &problems) || len(problems) == 0 || loaded != nil {
				t.Fatalf("Load = %v, %v", loaded, err)
			}
			return
		}
		if _, err := tenant.New(loaded.Config.Tenants()); err != nil {
			t.Errorf("tenant.New: %v", err)
		}
		for path, e := range loaded.Config.Environments() {
			if _, err := catalog.New(e.Entries()); err != nil {
				t.Errorf("%s: catalog.New: %v", path, err)
			}
			if e.Policy.File == "" && e.Policy.Document != nil {
				var document map[string]any
				if err := yaml.Unmarshal(e.Policy.Document, &document); err != nil {
					t.Errorf("%s: the rules in place became\n%s\n%v", path, e.Policy.Document, err)
				}
			}
		}
		shown, err := configs.Redacted(loaded.Config)
		if err != nil {
			t.Fatalf("Redacted: %v", err)
		}
		source.Data = []byte(strings.ReplaceAll(string(shown), "'[redacted]'", hash))
		again, err := source.Load()
		if err != nil {
			t.Fatalf("loading\n%s\nagain: %v", shown, err)
		}
		if twice, err := configs.Redacted(again.Config); err != nil || !bytes.Equal(shown, twice) {
			t.Errorf("printed\n%s\nthen\n%s\n%v", shown, twice, err)
		}
	})
}
