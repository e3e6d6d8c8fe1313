package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/playgate/playgate/playback"
)

// checkSets looks for members of named sets that none of the expressions that ask
// for the set can ever be: the rest of what literal.go finds in the rules
// themselves.
func (l *language) checkSets(list []setText) {
	for i := range list {
		t := &list[i]
		if slices.ContainsFunc(list[:i], func(other setText) bool { return other.name == t.name }) {
			continue // a problem of its own
		}
		uses := slices.DeleteFunc(slices.Clone(l.asked), func(u setUse) bool { return u.set != t.name })
		if len(uses) == 0 || slices.ContainsFunc(uses, func(u setUse) bool { return !u.what.closed() }) {
			continue
		}
		s := l.functions.sets[t.name]
		if s.networks != nil {
			t.from.problem(t.at, "is a set of networks and addresses, in which %s never is", uses[0].shown)
			continue
		}
		t.checkWords(s, uses)
	}
	l.asked = nil
}

// checkWords reports the members that no use can be.
func (t *setText) checkWords(s *set, uses []setUse) {
	var wrong []string
	for _, member := range slices.Sorted(maps.Keys(s.texts)) {
		switch use := uses[0]; {
		case slices.ContainsFunc(uses, func(u setUse) bool { return slices.Contains(u.what.words, member) }):
		case slices.ContainsFunc(uses, func(u setUse) bool { return u.what.has(member) }):
			s.doubts = append(s.doubts, reservedDoubt(member))
		case t.file == "":
			at := t.items[slices.Index(t.members, member)]
			t.from.problem(at, "%s is never %.80q: it is %s%s", use.shown, member, use.what.set.list(), use.what.didYouMean(member))
		default:
			wrong = append(wrong, fmt.Sprintf("%.80q%s", member, use.what.didYouMean(member)))
		}
	}
	if n := len(wrong); n > 0 {
		if n > maxDoubts {
			wrong = append(wrong[:maxDoubts], fmt.Sprintf("and %d more", n-maxDoubts))
		}
		t.from.problem(t.at, "%s has members that %s never is (it is %s): %s", t.file, uses[0].shown, uses[0].what.set.list(), strings.Join(wrong, "; "))
	}
}

// doubts says what of a test's question can never come: it tests an answer that
// nobody gets. Recorded decisions hold what a backend said, so it is no error.
func (t *testCase) doubts(issuers []string) []string {
	var found []string
	if v := t.question.Viewer; v != nil && v.Issuer != "" {
		if why := foreignIssuer(v.Issuer, issuers); why != "" {
			found = append(found, fmt.Sprintf("given.viewer.issuer is never %.80q: %s", v.Issuer, why))
		}
	}
	check := func(name, text string, set *wordSet) {
		if !set.possible(text) {
			found = append(found, fmt.Sprintf("given.%s is never %.80q: it is %s%s", name, text, set.list(), texts{set: set}.didYouMean(text)))
		}
	}
	check("request.country", cmp.Or(t.question.Client.Country, playback.UnknownCountry), countryWords)
	if a := t.question.Object.Asset; a != nil {
		check("asset.status", a.Status, assetStatusWords)
	}
	if l := t.question.Object.LiveStream; l != nil {
		check("live_stream.status", l.Status, liveStatusWords)
	}
	return found
}
