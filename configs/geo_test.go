package configs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/configs"
)

func TestGeo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]configs.Geo{
		"": {},
		"geo: {database: '', country_header: ''}":             {},
		"geo: {database: city.mmdb, asn_database: /asn.mmdb}": {Database: home + "/city.mmdb", ASNDatabase: "/asn.mmdb"},
		"geo: {country_header: CF-IPCountry}":                 {CountryHeader: "CF-IPCountry"},
	} {
		if diff := cmp.Diff(want, mustLoad(t, text, nil).Config.Geo); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	refused(t, "geo: {country_header: 'X Country'}", "geo.country_header", "is not the name of a header", nil)
	geo := configs.Geo{ASNDatabase: "/asn.mmdb", Database: "/city.mmdb"}
	if diff := cmp.Diff([]string{"/city.mmdb", "/asn.mmdb"}, geo.Files()); diff != "" {
		t.Error(diff)
	}
}

func TestACountryHeaderThatNobodyMaySendIsWarnedOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"geo: {country_header: CF-IPCountry}":                                            true,
		"server: {trusted_proxies: [10.0.0.0/8]}\ngeo: {country_header: CF-IPCountry}\n": false,
	} {
		warned := false
		for _, w := range mustLoad(t, text, nil).Warnings {
			warned = warned || w.Path == "geo.country_header"
		}
		if warned != want {
			t.Errorf("%s: warned %v, want %v", text, warned, want)
		}
	}
}
