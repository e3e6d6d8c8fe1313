package configs_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/tenant"
)

var update = flag.Bool("update", false, "write the generated files anew")

func TestEveryShippedConfigurationLoads(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			loaded, err := configs.Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tenant.New(loaded.Config.Tenants()); err != nil {
				t.Error(err)
			}
			for path, e := range loaded.Config.Environments() {
				if _, err := catalog.New(e.Entries()); err != nil {
					t.Error(err)
				}
				if len(e.Policy.Document) == 0 {
					t.Errorf("%s has no rules", path)
				}
			}
		})
	}
}

func TestTheReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "docs", "configuration.md")
	want := configs.Reference()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is not current: run go generate ./configs")
	}
	for i, line := range strings.Split(want, "\n") {
		if strings.HasSuffix(line, " ") || strings.Contains(line, "\t") {
			t.Errorf("line %d has stray white space", i+1)
		}
	}
}
