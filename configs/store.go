package configs

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

// Store configures where durable records are kept: what the catalogue learned,
// what viewers hold, webhooks taken, the ledger of signing keys.
type Store struct {
	Driver  string          `yaml:"driver" default:"sqlite" enum:"memory,sqlite,postgres" doc:"memory: lost at stop. sqlite: one file, for one machine. postgres: for many replicas."`
	DSN     DSN             `yaml:"dsn" default:"playgate.db" doc:"sqlite: the file. postgres: postgres://user:password@host/database, or key=value pairs as libpq has them."`
	DSNFile Path            `yaml:"dsn_file" secret:"true" default:"" doc:"File with the DSN, instead of dsn: the one of PostgreSQL holds a password."`
	Source  playback.Secret // the DSN in force, from dsn or dsn_file
}

// Webhooks configures the webhooks that Mux sends to
// /v1/webhooks/mux/<environment>.
type Webhooks struct {
	SecretFiles []Path            `yaml:"secret_files" secret:"true" doc:"Files with the endpoints' signing secrets; any of them will do. Without one, webhooks are refused."`
	Tolerance   time.Duration     `yaml:"tolerance" default:"300s" doc:"How old a signature may be."`
	Secrets     []playback.Secret // what secret_files hold
}

// DSN names a database: a URL or key=value pairs, which may hold a password, or
// the path of a file. After Load a path is absolute.
type DSN string

// isPath reports whether the DSN is a file's path.
func (d DSN) isPath() bool {
	return !strings.Contains(string(d), "://") && !strings.Contains(string(d), "=")
}

func setDSN(d *DSN, text, dir string) error {
	if *d = DSN(text); !d.isPath() {
		return nil
	}
	var path Path
	if err := setPath(&path, text, dir); err != nil {
		return err
	}
	*d = DSN(path)
	return nil
}

// redacted returns the DSN without its password.
func (d DSN) redacted() string {
	if d.isPath() {
		return string(d)
	}
	if u, err := url.Parse(string(d)); err == nil && u.Scheme != "" {
		if q := u.Query(); q.Has("password") {
			q.Set("password", "xxxxx")
			u.RawQuery = q.Encode()
		}
		return u.Redacted()
	}
	return regexp.MustCompile(`(?i)password\s*=\s*('([^'\\]|\\.)*'?|\S*)`).ReplaceAllString(string(d), "password=xxxxx")
}

func (l *loader) checkStore() {
	s := &l.config.Store
	dsn, at := s.DSN, "store.dsn"
	if s.DSNFile != "" {
		at = "store.dsn_file"
		if s.Driver == "memory" {
			return
		}
		dsn = DSN(l.secret(at, s.DSNFile).Reveal())
	}
	switch {
	case s.Driver == "memory" || l.report.hasFailed(at):
	case dsn == "":
		l.report.add(at, "is required by the driver %s", s.Driver)
	case s.Driver == "sqlite" && !dsn.isPath():
		l.report.add(at, "must be the path of a file for the driver sqlite")
	case s.Driver == "postgres" && dsn.isPath():
		l.report.add(at, "must be a URL (postgres://…) or key=value pairs for the driver postgres")
	}
	s.Source = playback.NewSecret(string(dsn))
	if s.Driver == "memory" {
		l.report.warn("store.driver", "memory: what viewers hold, which rentals have begun and what was learned from Mux are lost when the process stops, and no other replica sees them")
	}
}

func (l *loader) checkWebhooks(path string, e *Environment) {
	w := &e.Webhooks
	for i, file := range w.SecretFiles {
		w.Secrets = append(w.Secrets, l.secret(fmt.Sprintf("%s.webhooks.secret_files[%d]", path, i), file))
	}
	if len(w.SecretFiles) > 0 && e.Mux.EnvironmentID == "" {
		l.report.warn(path+".webhooks", "mux.environment_id is not given, so webhooks of any environment that are signed with the secret are believed")
	}
}

func (l *loader) checkCatalog(path string, e *Environment) {
	if e.Catalog.Unknown == "lookup" && !e.Mux.Enabled() {
		l.report.add(path+".catalog.unknown", "lookup asks Mux, for which mux.token_id and mux.token_secret_file are needed")
	}
}
