package policy

import (
	"maps"
	"slices"
	"testing"

	"github.com/playgate/playgate/playback"
)

// macros are those of the language, with what they become. A comprehension is
// charged for every turn; everything else is made of calls.
func knownMacros() map[string]string {
	return map[string]string{
		"has": "a select", "all": "a comprehension", "exists": "a comprehension", "exists_one": "a comprehension", "existsOne": "a comprehension",
		"map": "a comprehension", "filter": "a comprehension", "optMap": "a condition and a comprehension of no turns",
		"optFlatMap": "a condition and a comprehension of no turns", "greatest": "math.@max()", "least": "math.@min()",
	}
}

// TestEveryFunctionHasAPrice: what cel-go's next version or another extension adds
// must be looked at before rules may use it.
func TestEveryFunctionHasAPrice(t *testing.T) {
	t.Parallel()
	l, err := newLanguage(newPseudonyms(playback.NewSecret("key"), "acme-prod"), newConditions(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	functions := l.env.Functions()
	for name := range functions {
		if _, known := priceOf(name); !known {
			t.Errorf("the function %s has no price: see prices", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(prices)) {
		if functions[name] == nil {
			t.Errorf("there is no function %s, which has a price", name)
		}
	}
	known := knownMacros()
	for _, m := range l.env.Macros() {
		if known[m.Function()] == "" {
			t.Errorf("the macro %s is not known: does what it becomes charge for its turns?", m.Function())
		}
	}
	if len(functions) < 90 || len(l.env.Macros()) < len(known) {
		t.Errorf("%d functions, %d macros: they are not enumerated", len(functions), len(l.env.Macros()))
	}
}

// TestEveryOverloadFitsTheArguments: an overload with more arguments than a price
// is told of would not compile.
func TestEveryOverloadFitsTheArguments(t *testing.T) {
	t.Parallel()
	l, err := newLanguage(nil, newConditions(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range l.env.Functions() {
		for _, o := range f.OverloadDecls() {
			if p, _ := priceOf(name); len(o.ArgTypes()) > maxArguments && p != priceFlat {
				t.Errorf("%s takes %d arguments, more than %d", o.ID(), len(o.ArgTypes()), maxArguments)
			}
		}
	}
}
