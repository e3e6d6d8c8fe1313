package middleware_test

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

func trusts(prefixes ...string) func(netip.Addr) bool {
	directory, err := tenant.New(nil)
	if err != nil {
		panic(err)
	}
	cfg := middleware.SnapshotConfig{Directory: directory}
	for _, p := range prefixes {
		cfg.TrustedProxies = append(cfg.TrustedProxies, netip.MustParsePrefix(p))
	}
	s, err := middleware.NewSnapshot(cfg)
	if err != nil {
		panic(err)
	}
	return s.Trusts
}

func lines(text ...string) [][]byte {
	var out [][]byte
	for _, l := range text {
		out = append(out, []byte(l))
	}
	return out
}

func TestForwardedIsWalkedFromTheRight(t *testing.T) {
	t.Parallel()
	trusted := trusts("10.0.0.0/8", "fd00::/8", "::ffff:172.16.0.0/108")
	for _, c := range []struct {
		peer string
		xff  []string
		want string
	}{
		{"192.0.2.1", []string{"203.0.113.1"}, "192.0.2.1"}, // not ours: not believed
		{"10.0.0.1", nil, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1"}, "203.0.113.1"},
		{"10.0.0.1", []string{"6.6.6.6, 203.0.113.1"}, "203.0.113.1"},
		{"10.0.0.1", []string{"203.0.113.1,10.0.0.2,\t10.0.0.3 "}, "203.0.113.1"},
		{"10.0.0.1", []string{"6.6.6.6", "203.0.113.1, 10.0.0.2", "10.0.0.3"}, "203.0.113.1"},
		{"10.0.0.1", []string{"10.0.0.4, 10.0.0.5"}, "10.0.0.4"}, // all of them ours
		{"10.0.0.1", []string{"203.0.113.1, unknown"}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1, 10.0.0.2:1234"}, "203.0.113.1"}, // as some balancers write
		{"10.0.0.1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"10.0.0.1", []string{"203.0.113.1, 10.0.0.2:x"}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1,, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1", []string{""}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1, fe80::1%eth0"}, "fe80::1"},
		{"10.0.0.1", []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		{"10.0.0.1", []string{"203.0.113.1, ::ffff:10.0.0.9"}, "203.0.113.1"},
		{"10.0.0.1", []string{"203.0.113.1, 172.16.3.4"}, "203.0.113.1"},
		{"fd00::1", []string{"2001:db8::1, fd12::9"}, "2001:db8::1"},
		{"10.0.0.1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"10.0.0.1", []string{"203.0.113.1, [fd12::9]"}, "203.0.113.1"}, // one of ours, in any spelling
		{"10.0.0.1", []string{`"203.0.113.7"`}, "203.0.113.7"},
		{"10.0.0.1", []string{`"203.0.113.7:4711"`}, "203.0.113.7"},
		{"10.0.0.1", []string{`"[2001:db8::7]:4711", "10.0.0.2"`}, "2001:db8::7"},
		{"10.0.0.1", []string{"2001:db8::7%eth0"}, "2001:db8::7"},
		{"10.0.0.1", []string{"[2001:db8::7%11]:4711"}, "2001:db8::7"},
		{"10.0.0.1", []string{"[::ffff:203.0.113.7]:4711"}, "203.0.113.7"},
		{"10.0.0.1", []string{"[::ffff:203.0.113.7%1]"}, "203.0.113.7"},
		{"10.0.0.1", []string{"203.0.113.1, [203.0.113.7]"}, "203.0.113.7"},
		// What is no address ends the walk.
		{"10.0.0.1", []string{"203.0.113.1, [2001:db8::7"}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1, 2001:db8::7]"}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1, [[2001:db8::7]]"}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1, [2001:db8::7]:99999"}, "10.0.0.1"},
		{"10.0.0.1", []string{`203.0.113.1, "203.0.113.7`}, "10.0.0.1"},
		{"10.0.0.1", []string{`203.0.113.1, ""203.0.113.7""`}, "10.0.0.1"},
		{"10.0.0.1", []string{`203.0.113.1, "`}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1, []"}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.1, for=203.0.113.7"}, "10.0.0.1"},
	} {
		got := middleware.Forwarded(netip.MustParseAddr(c.peer), lines(c.xff...), trusted)
		if got.String() != c.want {
			t.Errorf("Forwarded(%s, %q) = %s, want %s", c.peer, c.xff, got, c.want)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("1.2.3.4, 10.0.0.1", "::1")
	f.Add(",,", "10.0.0.1,\xff")
	trusted := trusts("10.0.0.0/8")
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, first, second string) {
		got := middleware.Forwarded(peer, lines(first, second), trusted)
		if !got.IsValid() || got.Zone() != "" {
			t.Fatalf("Forwarded(%q, %q) = %v", first, second, got)
		}
		// An address that nobody trusted wrote is never believed: what is left
		// of an untrusted one is of no consequence.
		if again := middleware.Forwarded(peer, lines("6.6.6.6,"+first, second), trusted); !trusted(got) && again != got {
			t.Fatalf("a client changed its address from %v to %v", got, again)
		}
	})
}

func TestAddressKeys(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::1": "::/64",
	} {
		if got := middleware.AddressKey(netip.MustParseAddr(addr)); got != want {
			t.Errorf("AddressKey(%s) = %q, want %q", addr, got, want)
		}
	}
	if got := middleware.AddressKey(netip.Addr{}); got != "unknown" {
		t.Errorf("AddressKey(zero) = %q", got)
	}
}

type pair struct{ Name, Value string }

func pairs(raw string) (out []pair, bad int) {
	q := middleware.Query{Rest: raw}
	for q.Next() {
		if q.Err != nil {
			bad++
			continue
		}
		out = append(out, pair{q.Name, q.Value})
	}
	return out, bad
}

func TestQuery(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]struct {
		pairs []pair
		bad   int
	}{
		"":                {nil, 0},
		"&&":              {nil, 0},
		"a=1&b=2":         {[]pair{{"a", "1"}, {"b", "2"}}, 0},
		"a":               {[]pair{{"a", ""}}, 0},
		"=":               {[]pair{{"", ""}}, 0},
		"a=b=c":           {[]pair{{"a", "b=c"}}, 0},
		"a+b=%2B+%26":     {[]pair{{"a b", "+ &"}}, 0},
		"%C3%A9=é":        {[]pair{{"é", "é"}}, 0},
		"a;b=1":           {[]pair{{"a;b", "1"}}, 0},
		"a=%":             {nil, 1},
		"a=%4":            {nil, 1},
		"a=%zz&b=1":       {[]pair{{"b", "1"}}, 1},
		"a=%ff":           {nil, 1},
		"a=\xff":          {nil, 1},
		"%ff=a":           {nil, 1},
		"a=%C3&b=%A9":     {nil, 2},
		"a=%252e%252e%2f": {[]pair{{"a", "%2e%2e/"}}, 0},
	} {
		got, bad := pairs(raw)
		if d := cmp.Diff(want.pairs, got); d != "" || bad != want.bad {
			t.Errorf("%q: %d bad, want %d (-want +got):\n%s", raw, bad, want.bad, d)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"a=1&b=%20c+d", "%zz&a", "a=%C3%A9&a", "&&==&", "a;b=c"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, bad := pairs(raw)
		for _, p := range got {
			if !utf8.ValidString(p.Name) || !utf8.ValidString(p.Value) {
				t.Fatalf("%q: %q is not UTF-8", raw, p)
			}
		}
		if bad > 0 || strings.Contains(raw, ";") {
			return // net/url guesses, or refuses semicolons
		}
		want, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q: net/url refuses it: %v", raw, err)
		}
		values := url.Values{}
		for _, p := range got {
			values.Add(p.Name, p.Value)
		}
		if d := cmp.Diff(want, values); d != "" {
			t.Fatalf("%q (-net/url +ours):\n%s", raw, d)
		}
	})
}

func TestRates(t *testing.T) {
	t.Parallel()
	for text, period := range map[string]time.Duration{"1-S": time.Second, "120-M": time.Minute, "5-h": time.Hour, "7-D": 24 * time.Hour} {
		if rate, err := middleware.ParseRate(text); err != nil || rate.Period != period {
			t.Errorf("ParseRate(%q) = %v, %v", text, rate, err)
		}
	}
	if rate, err := middleware.ParseRate(""); err != nil || rate.Limit != 0 {
		t.Errorf(`ParseRate("") = %v, %v`, rate, err)
	}
	for _, text := range []string{"0-M", "-1-M", "M", "5", "5-Y", "x-M", "5-M-M", "99999999999999999999-M", " 5-M"} {
		if _, err := middleware.ParseRate(text); err == nil {
			t.Errorf("ParseRate(%q) is accepted", text)
		}
	}
}

func TestSampling(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]middleware.Sampling{"all": 1, "errors": 0, "": 0, "1/1": 1, "1/100": 100} {
		if got, err := middleware.ParseSampling(text); err != nil || got != want {
			t.Errorf("ParseSampling(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"1/0", "1/", "2/3", "1/-1", "1/x", "none", "1/99999999999"} {
		if _, err := middleware.ParseSampling(text); err == nil {
			t.Errorf("ParseSampling(%q) is accepted", text)
		}
	}
}

func TestRequestIDsAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		x := new(middleware.Exchange)
		x.Name("")
		if len(x.ID) != 32 || seen[x.ID] {
			t.Fatalf("an exchange is named %q", x.ID)
		}
		seen[x.ID] = true
	}
}

func TestSecondsAreRoundedUp(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{-time.Hour: 1, 0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, 90 * time.Second: 90} {
		if got := middleware.Seconds(d); got != want {
			t.Errorf("Seconds(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestKindsAreNamed(t *testing.T) {
	t.Parallel()
	got := []string{
		middleware.NoCaller.String(), middleware.AnonymousCaller.String(), middleware.ViewerCaller.String(), middleware.BackendCaller.String(),
	}
	if want := []string{"none", "anonymous", "viewer", "backend"}; !slices.Equal(got, want) {
		t.Errorf("kinds = %q, want %q", got, want)
	}
}

// TestFairNamesNeverCollide names viewers after addresses, after each other,
// and after those of another environment.
func TestFairNamesNeverCollide(t *testing.T) {
	t.Parallel()
	one := &middleware.Environment{Environment: &tenant.Environment{ID: "one"}}
	two := &middleware.Environment{Environment: &tenant.Environment{ID: "two"}}
	address, viewer := netip.MustParseAddr("192.0.2.1"), &playback.Viewer{Issuer: "main", ID: "192.0.2.1"}
	seen := map[string]string{}
	for name, x := range map[string]*middleware.Exchange{
		"an address":         {Environment: one, Kind: middleware.AnonymousCaller, Client: address},
		"the address at two": {Environment: two, Kind: middleware.AnonymousCaller, Client: address},
		"an access token":    {Environment: one, Kind: middleware.BackendCaller, Token: &tenant.AccessToken{ID: "192.0.2.1"}},
		"a viewer":           {Environment: one, Kind: middleware.ViewerCaller, Viewer: viewer},
		"the viewer at two":  {Environment: two, Kind: middleware.ViewerCaller, Viewer: viewer},
		"another issuer":     {Environment: one, Kind: middleware.ViewerCaller, Viewer: &playback.Viewer{Issuer: "other", ID: "192.0.2.1"}},
	} {
		fair := x.Fair()
		if other, taken := seen[fair]; taken {
			t.Errorf("%s and %s are both %q", name, other, fair)
		}
		seen[fair] = name
	}
}
