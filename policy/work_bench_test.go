package policy_test

import (
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// BenchmarkWorstConditions is the time of conditions that are stopped, and what it
// is for a unit of the work that was counted.
func BenchmarkWorstConditions(b *testing.B) {
	for name, condition := range worstConditions() {
		b.Run(name, func(b *testing.B) {
			p := mustCompile(b, when(condition), policy.Options{})
			q := claims(largeClaims())
			q.Viewer.Memo, q.Now = new(playback.Memo), testTime()
			p.DecideAnew(q)
			var spent uint64
			b.ReportAllocs()
			for b.Loop() {
				budget := playback.NewRuleBudget(b.Context(), playback.RequestRuleWork, nil)
				q.Budget = &budget
				p.DecideAnew(q)
				spent += budget.Spent()
			}
			if spent > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(spent), "ns/unit")
			}
		})
	}
}
