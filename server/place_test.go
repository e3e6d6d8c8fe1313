package server_test

import (
	"net/netip"
	"testing"

	"github.com/playgate/playgate/playback"
)

// atlas knows one address.
type atlas struct{}

func (atlas) Locate(addr netip.Addr, c *playback.Client) {
	if addr == netip.MustParseAddr("198.51.100.7") {
		c.Country, c.Region, c.ASN, c.GeoSource = "DE", "BY", 64500, playback.GeoDatabase
	}
}

func TestWhereAViewerIs(t *testing.T) {
	t.Parallel()
	proxy := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	database := playback.Client{Country: "DE", Region: "BY", ASN: 64500, GeoSource: playback.GeoDatabase}
	unknown := playback.Client{Country: "ZZ"}
	header := func(country string) playback.Client {
		return playback.Client{Country: country, GeoSource: playback.GeoHeader}
	}
	for _, c := range []struct {
		name    string
		peer    string
		headers []string
		asleep  bool // the rules do not want to know
		want    playback.Client
	}{
		{name: "by the address", peer: "198.51.100.7", want: database},
		{name: "of an unknown address", peer: "198.51.100.8", want: unknown},
		{name: "where nobody wants to know", peer: "198.51.100.7", asleep: true, want: unknown},
		{name: "a header from anybody", peer: "198.51.100.8", headers: []string{"CF-IPCountry: FR"}, want: unknown},
		{name: "a header from the proxy", peer: "192.0.2.1", headers: []string{"CF-IPCountry: FR"}, want: header("FR")},
		{name: "in small letters", peer: "192.0.2.1", headers: []string{"cf-ipcountry: fr"}, want: header("FR")},
		{name: "not known to the proxy", peer: "192.0.2.1", headers: []string{"CF-IPCountry: XX"}, want: unknown},
		{name: "Tor", peer: "192.0.2.1", headers: []string{"CF-IPCountry: T1"}, want: unknown},
		{name: "no country", peer: "192.0.2.1", headers: []string{"CF-IPCountry: France"}, want: unknown},
		{name: "twice", peer: "192.0.2.1", headers: []string{"CF-IPCountry: FR", "CF-IPCountry: DE"}, want: unknown},
		{
			name: "the header before the database, which knows the rest", peer: "192.0.2.1", headers: []string{"CF-IPCountry: FR", "X-Forwarded-For: 198.51.100.7"},
			want: playback.Client{Country: "FR", ASN: 64500, GeoSource: playback.GeoHeader},
		},
		{name: "through the proxy, without header", peer: "192.0.2.1", headers: []string{"X-Forwarded-For: 198.51.100.7"}, want: database},
	} {
		k := start(t, options{trusted: proxy, locator: atlas{}, header: "CF-IPCountry", asleep: c.asleep})
		k.from(c.peer)
		k.get("/v1/playback-ids/PID1/token", append(c.headers, bearer(acmeViewer))...)
		got := *k.issuer.last(t).Client
		got.IP = netip.Addr{}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestWhereABackendSaysItsViewerIs(t *testing.T) {
	t.Parallel()
	k := start(t, options{locator: atlas{}, header: "CF-IPCountry"})
	for viewer, want := range map[string]playback.Client{
		`{"id":"u1","country":"FR"}`:            {Country: "FR", GeoSource: playback.GeoBackend},
		`{"id":"u1","ip":"198.51.100.7"}`:       {Country: "ZZ", IP: netip.MustParseAddr("198.51.100.7")},
		`{"id":"u1","asn":64501,"region":"11"}`: {Country: "ZZ", ASN: 64501, Region: "11", GeoSource: playback.GeoBackend},
	} {
		k.post("/v1/tokens", `{"playback_id":"PID1","viewer":`+viewer+`}`, basicAuth(acmeBackend, secret), "CF-IPCountry: DE")
		if got := *k.issuer.last(t).Client; got != want {
			t.Errorf("%s: %+v, want %+v", viewer, got, want)
		}
	}
}
