package geo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/fileversion"
	"github.com/playgate/playgate/playback"
)

const (
	// watchInterval is how often the files are looked at.
	watchInterval = 5 * time.Second
	// maxFile bounds a database: the largest of MaxMind's are some 400 MB.
	maxFile = 1 << 30
)

// Config says which databases there are.
type Config struct {
	// Files are the paths of the databases: one that knows countries and regions
	// (City, Country, Enterprise), one that knows autonomous systems (ASN, ISP),
	// or both in any order. What the first knows, the others do not say.
	Files      []string
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are counted, not published
}

// Database answers where an address is.
type Database struct {
	log     *slog.Logger
	files   []*file
	loads   *prometheus.CounterVec
	errors  prometheus.Counter
	refresh sync.Mutex // one at a time
}

// file is one database file and what was read of it.
type file struct {
	path   string
	reader atomic.Pointer[maxminddb.Reader]
	// Guarded by Database.refresh: the version that was looked at last, and the sum
	// of its content.
	seen fileversion.Version
	sum  [sha256.Size]byte
}

// Open reads the databases. The error joins all files that cannot be read.
func Open(cfg Config) (*Database, error) {
	d := &Database{
		log: cfg.Logger,
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_geo_loads_total",
			Help: "Readings of a geo database that had changed on disk, by result: loaded, or refused (the old one stays in use).",
		}, []string{"result"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "playgate_geo_errors_total",
			Help: "Look-ups of an address whose record cannot be read; its place counts as unknown.",
		}),
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	for _, path := range cfg.Files {
		d.files = append(d.files, &file{path: path})
	}
	if _, err := d.Refresh(); err != nil {
		return nil, err
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(d.loads, d.errors)
	}
	return d, nil
}

// Run looks at the files every few seconds and takes over those that changed,
// until the context ends.
func (d *Database) Run(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, _ = d.Refresh() // logged where it failed
	}
}

// Refresh reads the files that have changed since it last looked, and returns
// how many it took over. One that cannot be read is logged once, and keeps what
// was read of it before.
func (d *Database) Refresh() (changed int, _ error) {
	d.refresh.Lock()
	defer d.refresh.Unlock()
	var problems []error
	for _, f := range d.files {
		now, err := fileversion.Of(f.path)
		if err == nil && (now == f.seen || now.Alike(f.seen) && f.holdsWhatWasSeen()) {
			f.seen = now
			continue
		}
		switch {
		case err == nil:
			f.seen = now
			err = f.load()
		case f.seen == (fileversion.Version{}) && f.reader.Load() != nil:
			continue // gone, and said so
		default:
			f.seen = fileversion.Version{}
		}
		if err != nil {
			d.loads.WithLabelValues("refused").Inc()
			d.log.Error("geo database refused, the old one stays in force", "file", f.path, "error", err)
			problems = append(problems, fmt.Errorf("reading geo database %s: %w", f.path, err))
			continue
		}
		changed++
		d.loads.WithLabelValues("loaded").Inc()
		meta := f.reader.Load().Metadata
		d.log.Info("geo database loaded", "file", f.path, "type", meta.DatabaseType, "built", meta.BuildTime().UTC())
	}
	return changed, errors.Join(problems...)
}

// holdsWhatWasSeen reports whether the content is still the one that was looked at
// last.
func (f *file) holdsWhatWasSeen() bool {
	text, err := os.ReadFile(f.path)
	return err == nil && sha256.Sum256(text) == f.sum
}

func (f *file) load() error {
	if f.seen.Size() > maxFile {
		return fmt.Errorf("is larger than %d bytes", maxFile)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	f.sum = sha256.Sum256(text)
	reader, err := maxminddb.OpenBytes(text)
	if err != nil {
		return err
	}
	if err := verify(reader); err != nil {
		return err
	}
	f.reader.Store(reader)
	return nil
}

// record is what is read of a database's records, by the names that MaxMind's
// products have for it.
type record struct {
	Country struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Subdivisions []struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"subdivisions"`
	ASN    uint32 `maxminddb:"autonomous_system_number"`
	Traits struct {
		ASN uint32 `maxminddb:"autonomous_system_number"`
	} `maxminddb:"traits"`
}

func find(reader *maxminddb.Reader, addr netip.Addr) (r record, err error) {
	if addr.Is6() && reader.Metadata.IPVersion == 4 {
		return r, nil
	}
	err = reader.Lookup(addr).Decode(&r)
	return r, err
}

// Locate sets the client's country, region and autonomous system to what is
// known of the address, and says that the databases told. What they do not know
// it leaves as it is.
func (d *Database) Locate(addr netip.Addr, c *playback.Client) {
	if !addr.IsValid() {
		return
	}
	addr = addr.Unmap().WithZone("")
	var country, region string
	var asn int64
	for _, f := range d.files {
		r, err := find(f.reader.Load(), addr)
		if err != nil {
			d.errors.Inc()
			continue
		}
		if country == "" && r.Country.ISOCode != "" {
			country = r.Country.ISOCode
			if len(r.Subdivisions) > 0 {
				region = r.Subdivisions[0].ISOCode
			}
		}
		if asn == 0 {
			asn = int64(max(r.ASN, r.Traits.ASN))
		}
	}
	if country == "" && asn == 0 {
		return
	}
	if country != "" {
		c.Country, c.Region = country, region
	}
	c.ASN, c.GeoSource = asn, playback.GeoDatabase
}
