package tenant_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/tenant"
)

func TestAliasOf(t *testing.T) {
	t.Parallel()
	ref := func(alias, url string) tenant.IssuerRef { return tenant.IssuerRef{Alias: alias, Issuer: url} }
	two := []tenant.IssuerRef{ref("main", "https://idp.example/"), ref("partner", "https://partner.example")}
	var many []tenant.IssuerRef
	for i := range 12 {
		many = append(many, ref(fmt.Sprintf("issuer-%c", 'a'+i), "https://shared.example"))
	}
	for _, c := range []struct {
		issuers        []tenant.IssuerRef
		name           string
		alias, refusal string
	}{
		{nil, "", "main", ""},
		{nil, "main", "main", ""},
		{nil, "partner", "", "is no issuer of this environment: want main"},
		{two[1:], "", "partner", ""},
		{two[1:], "main", "", "is no issuer of this environment: want partner"},
		{two, "", "main", ""},
		{two, "partner", "partner", ""},
		{two, "https://partner.example", "partner", ""},
		{two, "https://idp.example/", "main", ""},
		{two, "https://idp.example", "", "is no issuer of this environment; did you mean main, which is https://idp.example/?"},
		{two, "HTTP://partner.example/", "", "is no issuer of this environment; did you mean partner, which is https://partner.example?"},
		{two, "partnr", "", "is no issuer of this environment; did you mean partner?"},
		{two, "Partner", "", "is no issuer of this environment; did you mean partner?"},
		{two, "https://other.example", "", "is no issuer of this environment: want one of main, partner"},
		{many, "", "", "is required: want one of issuer-a, issuer-b, issuer-c, issuer-d, issuer-e, issuer-f, issuer-g, issuer-h, issuer-i, issuer-j and others"},
		{many[:2], "https://shared.example", "", "is the URL of several issuers: want one of issuer-a, issuer-b"},
	} {
		e := tenant.Environment{Issuers: c.issuers}
		alias, err := e.AliasOf(c.name)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if alias != c.alias || text != c.refusal {
			t.Errorf("%d issuers: AliasOf(%q) = %q, %q, want %q, %q", len(c.issuers), c.name, alias, text, c.alias, c.refusal)
		}
	}
	e := tenant.Environment{Issuers: two}
	if diff := cmp.Diff([]string{"main", "partner"}, e.Aliases()); diff != "" {
		t.Error(diff)
	}
	if _, err := e.AliasOf(strings.Repeat("x", 1000)); err == nil || strings.Contains(err.Error(), "xxx") {
		t.Errorf("a long name: %v", err)
	}
}
