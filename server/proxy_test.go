package server_test

import (
	"strings"
	"testing"
)

// TestAProxyThatIsNotTrustedIsWarnedOfOnce: with each configuration again.
func TestAProxyThatIsNotTrustedIsWarnedOfOnce(t *testing.T) {
	t.Parallel()
	for header, name := range map[string]string{
		"X-Forwarded-For: 203.0.113.7": "X-Forwarded-For", "x-forwarded-host: " + acmeHost: "X-Forwarded-Host", "X-Forwarded-Proto: https": "X-Forwarded-Proto",
	} {
		k := start(t, options{trusted: proxies()})
		warnings := func() int { return strings.Count(k.log.text(), "not among server.trusted_proxies") }
		k.want(k.get(aToken, bearer(acmeViewer)), 200, "")
		k.from("10.0.0.1") // a proxy of ours
		k.want(k.get(aToken, bearer(acmeViewer), header), 200, "")
		if n := warnings(); n != 0 {
			t.Errorf("%s: %d warnings of a trusted proxy, or without a header: %s", name, n, k.log.text())
		}
		k.from("192.0.2.1")
		for range 3 {
			k.want(k.get(aToken, bearer(acmeViewer), header), 200, "")
		}
		k.from("192.0.2.2")
		k.want(k.get("/nowhere", header), 404, "not_found")
		if n := warnings(); n != 1 || !strings.Contains(k.log.text(), `"level":"WARN"`) ||
			!strings.Contains(k.log.text(), `"peer":"192.0.2.1","header":"`+name+`"`) {
			t.Errorf("%s: %d warnings, want one that names peer and header: %s", name, n, k.log.text())
		}
		k.configure(options{tenants: tenants()})
		k.want(k.get(aToken, bearer(acmeViewer), header), 200, "")
		if n := warnings(); n != 2 {
			t.Errorf("%s: %d warnings after a reload, want another", name, n)
		}
	}
}
