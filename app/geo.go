package app

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/geo"
)

// openGeo opens the geo databases, nil if there are none. They are opened once:
// their files are swapped while the gateway runs, which files they are takes a
// restart.
func (a *App) openGeo(cfg *configs.Config, registry prometheus.Registerer) error {
	files := cfg.Geo.Files()
	if len(files) == 0 {
		return nil
	}
	database, err := geo.Open(geo.Config{Files: files, Logger: a.log, Registerer: registry})
	if err != nil {
		return fmt.Errorf("opening the geo databases: %w", err)
	}
	a.geo = database
	return nil
}

// checkGeo opens the geo databases for check-config.
func checkGeo(cfg *configs.Config) configs.Problems {
	var problems configs.Problems
	for _, c := range [...]struct{ at, file string }{
		{"geo.database", string(cfg.Geo.Database)}, {"geo.asn_database", string(cfg.Geo.ASNDatabase)},
	} {
		if c.file == "" {
			continue
		}
		if _, err := geo.Open(geo.Config{Files: []string{c.file}}); err != nil {
			problems = append(problems, configs.Problem{Path: c.at, Message: err.Error()})
		}
	}
	return problems
}
