package tenant_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/tenant"
)

func TestNormalizeHostFindsOneSpelling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, want string }{
		{"play.acme.example", "play.acme.example"},
		{"PLAY.Acme.Example", "play.acme.example"},
		{"play.acme.example:8080", "play.acme.example"},
		{"play.acme.example.", "play.acme.example"},
		{"Play.acme.example.:443", "play.acme.example"},
		{"play.acme.example:", "play.acme.example"},
		{"localhost", "localhost"},
		{"127.0.0.1:8080", "127.0.0.1"},
		{"[::1]:8080", "::1"},
		{"[::1]", "::1"},
		{"::1", "::1"},
		{"[2001:DB8:0:0::1]:80", "2001:db8::1"},
		{"2001:DB8::1", "2001:db8::1"},
		{"", ""},
	} {
		if got := tenant.NormalizeHost(c.given); got != c.want {
			t.Errorf("NormalizeHost(%q) = %q, want %q", c.given, got, c.want)
		}
		if !tenant.ValidHost(c.want) && c.want != "" {
			t.Errorf("ValidHost(%q) = false, want true", c.want)
		}
	}
}

func TestNoHostNormalizesToAValidOne(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for _, given := range []string{
		"", ".", ":", ":80", "a..b", "a..", "-a", "a-", "*.acme.example", "a b", "acme.example:http", "acme.example/x",
		"https://acme.example", "user@acme.example", "[acme.example]:80", "[127.0.0.1]:80", "[::1", "[::1]x", "[::1]:x", "::1:zz",
		"[fe80::1%eth0]", "bücher.example", long + ".example", strings.Repeat("a.", 127) + "a",
	} {
		if host := tenant.NormalizeHost(given); tenant.ValidHost(host) {
			t.Errorf("NormalizeHost(%q) = %q, a valid host", given, host)
		}
	}
}

func TestNormalizeHostDoesNotAllocateForCanonicalHosts(t *testing.T) {
	for _, host := range []string{"play.acme.example", "play.acme.example:8080"} {
		if n := testing.AllocsPerRun(100, func() { tenant.NormalizeHost(host) }); n != 0 {
			t.Errorf("NormalizeHost(%q) allocates %v times, want 0", host, n)
		}
	}
}

func FuzzNormalizeHost(f *testing.F) {
	for _, s := range []string{"a.example:80", "[::1]:80", "A.", "[", "]:", "::", "a:b:c", "[::1%25eth0]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		once := tenant.NormalizeHost(given)
		if !tenant.ValidHost(once) {
			return
		}
		if twice := tenant.NormalizeHost(once); twice != once {
			t.Errorf("NormalizeHost(%q) = %q, but again %q", given, once, twice)
		}
	})
}
