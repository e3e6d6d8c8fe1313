package geo_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/playgate/playgate/geo"
	"github.com/playgate/playgate/playback"
)

// city is a record as MaxMind's City database has it.
func city(country, region string) mmdbtype.Map {
	m := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(country), "names": mmdbtype.Map{"en": mmdbtype.String("somewhere")}}}
	if region != "" {
		m["subdivisions"] = mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String(region)}, mmdbtype.Map{"iso_code": mmdbtype.String("SUB")}}
	}
	return m
}

func asn(n uint32) mmdbtype.Map {
	return mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(n), "autonomous_system_organization": mmdbtype.String("Net")}
}

// write writes a database with the records, as a new file in the place of path.
func write(t testing.TB, path, kind string, version int, records map[string]mmdbtype.Map) {
	t.Helper()
	writeSized(t, path, mmdbwriter.Options{DatabaseType: kind, IPVersion: version, RecordSize: 24}, records)
}

func writeSized(t testing.TB, path string, o mmdbwriter.Options, records map[string]mmdbtype.Map) {
	t.Helper()
	o.IncludeReservedNetworks = true
	tree, err := mmdbwriter.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for text, record := range records {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(network, record); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	replace(t, path, b.Bytes())
}

func replace(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func locate(d *geo.Database, addr string) playback.Client {
	c := playback.Client{Country: playback.UnknownCountry}
	a, _ := netip.ParseAddr(addr)
	d.Locate(a, &c)
	return c
}

func TestLocate(t *testing.T) {
	t.Parallel()
	cities, networks := filepath.Join(t.TempDir(), "city.mmdb"), filepath.Join(t.TempDir(), "asn.mmdb")
	write(t, cities, "GeoLite2-City", 6, map[string]mmdbtype.Map{
		"203.0.113.0/24": city("DE", "BY"), "2001:db8::/32": city("AT", ""), "198.51.100.0/24": {"location": mmdbtype.Map{}},
	})
	write(t, networks, "GeoLite2-ASN", 4, map[string]mmdbtype.Map{"203.0.113.0/25": asn(64500), "192.0.2.0/24": asn(64501)})
	d, err := geo.Open(geo.Config{Files: []string{cities, networks}})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]playback.Client{
		"203.0.113.9":        {Country: "DE", Region: "BY", ASN: 64500, GeoSource: playback.GeoDatabase},
		"::ffff:203.0.113.9": {Country: "DE", Region: "BY", ASN: 64500, GeoSource: playback.GeoDatabase},
		"203.0.113.200":      {Country: "DE", Region: "BY", GeoSource: playback.GeoDatabase},
		"2001:db8::1":        {Country: "AT", GeoSource: playback.GeoDatabase},
		"192.0.2.1":          {Country: "ZZ", ASN: 64501, GeoSource: playback.GeoDatabase},
		"198.51.100.1":       {Country: "ZZ"},
		"10.0.0.1":           {Country: "ZZ"},
		"":                   {Country: "ZZ"},
	} {
		if got := locate(d, addr); got != want {
			t.Errorf("Locate(%q) = %+v, want %+v", addr, got, want)
		}
	}
}

func TestAnEnterpriseDatabaseKnowsBoth(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "enterprise.mmdb")
	record := city("CH", "ZH")
	record["traits"] = asn(64502)
	write(t, path, "GeoIP2-Enterprise", 6, map[string]mmdbtype.Map{"203.0.113.0/24": record})
	d, err := geo.Open(geo.Config{Files: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	if got := locate(d, "203.0.113.9"); got.Country != "CH" || got.ASN != 64502 {
		t.Errorf("Locate = %+v", got)
	}
}

func TestAChangedFileIsTakenOverAndABrokenOneIsNot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "city.mmdb")
	germany := map[string]mmdbtype.Map{"203.0.113.0/24": city("DE", "")}
	write(t, path, "GeoLite2-City", 6, germany)
	d, err := geo.Open(geo.Config{Files: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(step, want string, changes int, fails bool) {
		t.Helper()
		changed, err := d.Refresh()
		if changed != changes || (err != nil) != fails {
			t.Errorf("%s: Refresh = %d, %v", step, changed, err)
		}
		if got := locate(d, "203.0.113.9").Country; got != want {
			t.Errorf("%s: country %s, want %s", step, got, want)
		}
		if changed, err := d.Refresh(); changed != 0 || err != nil {
			t.Errorf("%s: looking again: %d, %v, want nothing, and nothing said twice", step, changed, err)
		}
	}
	check("unchanged", "DE", 0, false)
	replace(t, path, good[:len(good)/2])
	check("half a file", "DE", 0, true)
	replace(t, path, []byte("no database"))
	check("no database", "DE", 0, true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("gone", "DE", 0, true)
	write(t, path, "GeoLite2-City", 6, map[string]mmdbtype.Map{"203.0.113.0/24": city("FR", "")})
	check("another", "FR", 1, false)
}

// TestADatabaseOfTheSameSizeAndTimeIsTakenOver: `cp -p` keeps both, and images
// that are built reproducibly give every file one time.
func TestADatabaseOfTheSameSizeAndTimeIsTakenOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "city.mmdb")
	long := time.Unix(1_700_000_000, 0)
	put := func(country string) {
		t.Helper()
		write(t, path+".next", "GeoLite2-City", 6, map[string]mmdbtype.Map{"203.0.113.0/24": city(country, "")})
		if err := errors.Join(os.Chtimes(path+".next", long, long), os.Rename(path+".next", path)); err != nil {
			t.Fatal(err)
		}
	}
	put("DE")
	d, err := geo.Open(geo.Config{Files: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		country string
		changed int
	}{{"FR", 1}, {"FR", 0}, {"DE", 1}} {
		put(c.country)
		changed, err := d.Refresh()
		if got := locate(d, "203.0.113.9").Country; got != c.country || changed != c.changed || err != nil {
			t.Errorf("Refresh = %d, %v, and the country is %s; want %d and %s", changed, err, got, c.changed, c.country)
		}
	}
}

func TestOpenRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.mmdb")
	if d, err := geo.Open(geo.Config{Files: []string{missing}}); d != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v, %v", d, err)
	}
	broken := filepath.Join(t.TempDir(), "broken.mmdb")
	replace(t, broken, bytes.Repeat([]byte{0xff}, 4096))
	if _, err := geo.Open(geo.Config{Files: []string{broken}}); err == nil {
		t.Error("a file of 0xff is a database")
	}
}

func TestRunLooksEveryFewSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "city.mmdb")
		write(t, path, "GeoLite2-City", 6, map[string]mmdbtype.Map{"203.0.113.0/24": city("DE", "")})
		d, err := geo.Open(geo.Config{Files: []string{path}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { d.Run(ctx); close(done) }()
		write(t, path, "GeoLite2-City", 6, map[string]mmdbtype.Map{"203.0.113.0/24": city("FR", ""), "192.0.2.0/24": city("US", "")})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := locate(d, "203.0.113.9").Country; got != "FR" {
			t.Errorf("country %s after a minute, want FR", got)
		}
		cancel()
		<-done
	})
}

func BenchmarkLocate(b *testing.B) {
	path := filepath.Join(b.TempDir(), "city.mmdb")
	write(b, path, "GeoLite2-City", 6, map[string]mmdbtype.Map{"203.0.113.0/24": city("DE", "BY")})
	d, err := geo.Open(geo.Config{Files: []string{path}})
	if err != nil {
		b.Fatal(err)
	}
	addr := netip.MustParseAddr("203.0.113.9")
	b.ReportAllocs()
	for b.Loop() {
		var c playback.Client
		d.Locate(addr, &c)
	}
}
