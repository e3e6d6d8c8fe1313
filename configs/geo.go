package configs

import "regexp"

// Geo configures how it is found out where viewers are: request.country, region
// and asn in rules.
type Geo struct {
	Database      Path   `yaml:"database" default:"" restart:"true" doc:"File in MaxMind's format that knows countries and regions (City, Country, Enterprise); \"\" means none. A changed file is taken over within seconds."`
	ASNDatabase   Path   `yaml:"asn_database" default:"" restart:"true" doc:"File in MaxMind's format that knows autonomous systems (ASN, ISP); \"\" means none. Likewise."`
	CountryHeader string `yaml:"country_header" default:"" doc:"Header in which server.trusted_proxies name the viewer's country, such as CF-IPCountry; \"\" means none. It goes before the databases."`
}

// Files returns the databases, the one of countries first.
func (g *Geo) Files() []string {
	var files []string
	for _, path := range [...]Path{g.Database, g.ASNDatabase} {
		if path != "" {
			files = append(files, string(path))
		}
	}
	return files
}

var headerName = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9-]{0,63}\z`)

// checkGeo leaves the databases to whoever opens them: they are too large to be
// read here.
func (l *loader) checkGeo() {
	g := &l.config.Geo
	switch {
	case g.CountryHeader == "":
	case !headerName.MatchString(g.CountryHeader):
		l.report.add("geo.country_header", "%q is not the name of a header: want letters, digits and -", clipped(g.CountryHeader))
	case len(l.config.Server.TrustedProxies) == 0:
		l.report.warn("geo.country_header", "nobody is believed to know the country: server.trusted_proxies is empty")
	}
}
