package policy_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/playgate/playgate/policy"
)

const rightsPage = "../docs/rights.md"

// TestDocumentedRights: the documents of the page pass their tests, cover all
// their rules, and earn no warning.
func TestDocumentedRights(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(read(t, rightsPage)), -1)
	if len(blocks) < 11 {
		t.Fatalf("%d documents in %s, want at least 11", len(blocks), rightsPage)
	}
	for i, block := range blocks {
		report, err := policy.Test([]byte(block[1]), policy.Options{})
		if err != nil {
			t.Errorf("document %d: %v\n%s", i, err, block[1])
			continue
		}
		if report.Failures() > 0 || len(report.Uncovered()) > 0 {
			var out strings.Builder
			if err := report.Print(&out, fmt.Sprintf("document %d", i)); err != nil {
				t.Error(err)
			}
			t.Error(out.String())
		}
		warnings, err := policy.Check([]byte(block[1]), policy.Options{Unknown: "lookup"}, nil)
		if len(warnings) > 0 || err != nil {
			t.Errorf("document %d: %v, %v", i, warnings, err)
		}
	}
}
