package geo_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/playgate/playgate/geo"
	"github.com/playgate/playgate/playback"
)

const networks = 20_000 // /24s from 1.0.0.0 on

func network(n int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 1<<24+uint32(n)<<8)
	return netip.AddrFrom4(b)
}

// large writes a database in which every network's country, region and system
// say which edition it is.
func large(t testing.TB, path, edition string) {
	t.Helper()
	records := make(map[string]mmdbtype.Map, networks)
	for n := range networks {
		record := city(edition, fmt.Sprintf("%s%d", edition, n))
		record["traits"] = asn(uint32(edition[0])<<16 + uint32(n))
		records[network(n).String()+"/24"] = record
	}
	write(t, path, "GeoIP2-Enterprise", 6, records)
}

// TestADatabaseIsSwappedUnderLoad: every answer is whole, of one edition, and
// never none; broken files in between change nothing.
func TestADatabaseIsSwappedUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "geo.mmdb")
	editions := map[string][]byte{}
	for _, edition := range []string{"AA", "BB"} {
		large(t, path, edition)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		editions[edition] = text
	}
	d, err := geo.Open(geo.Config{Files: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var answers atomic.Int64
	stop := make(chan struct{})
	for w := range 4 {
		wg.Go(func() {
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := i * 7919 % networks
				c := playback.Client{Country: playback.UnknownCountry}
				d.Locate(network(n).Next(), &c)
				if c.Country != "AA" && c.Country != "BB" || c.Region != fmt.Sprintf("%s%d", c.Country, n) || c.ASN != int64(c.Country[0])<<16+int64(n) {
					t.Errorf("network %d is in %s, %s, AS%d: not of one edition", n, c.Country, c.Region, c.ASN)
					return
				}
				answers.Add(1)
			}
		})
	}
	damaged := func(text []byte, change func([]byte)) []byte {
		out := bytes.Clone(text)
		change(out)
		return out
	}
	// Files of one size that are written within milliseconds are one file.
	written := time.Now()
	swap := func(text []byte) {
		t.Helper()
		replace(t, path, text)
		written = written.Add(time.Second)
		if err := os.Chtimes(path, written, written); err != nil {
			t.Fatal(err)
		}
	}
	edition := "BB"
	for round := range 6 {
		edition = map[string]string{"AA": "BB", "BB": "AA"}[edition]
		whole := editions[edition]
		for name, broken := range map[string][]byte{
			"nothing":            nil,
			"cut short":          whole[:len(whole)*9/10],
			"the end only":       whole[len(whole)/2:],
			"a hole in its tree": damaged(whole, func(b []byte) { clear(b[100_000:101_000]) }),
			"noise in its tree":  damaged(whole, func(b []byte) { copy(b[200_000:], "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xff\xff\xff\xff") }),
			"a hole in its data": damaged(whole, func(b []byte) { clear(b[len(b)*3/4:][:1000]) }),
		} {
			swap(broken)
			if changed, err := d.Refresh(); changed != 0 || err == nil {
				t.Errorf("round %d, %s: Refresh = %d, %v, want that it is refused", round, name, changed, err)
			}
		}
		swap(whole)
		if changed, err := d.Refresh(); changed != 1 || err != nil {
			t.Errorf("round %d: Refresh = %d, %v", round, changed, err)
		}
		if got := locate(d, "1.0.0.9").Country; got != edition {
			t.Errorf("round %d: then %s counts, want %s", round, got, edition)
		}
	}
	close(stop)
	wg.Wait()
	if answers.Load() < 1000 {
		t.Errorf("only %d answers: nothing was tried", answers.Load())
	}
}

// TestTreesOfEverySize: what cannot be read is refused in each, the rest is not.
func TestTreesOfEverySize(t *testing.T) {
	t.Parallel()
	for _, version := range []int{4, 6} {
		for _, size := range []int{24, 28, 32} {
			path := filepath.Join(t.TempDir(), "geo.mmdb")
			records := map[string]mmdbtype.Map{}
			for n := range 300 {
				records[network(n).String()+"/24"] = city("DE", fmt.Sprint(n))
			}
			writeSized(t, path, mmdbwriter.Options{DatabaseType: "GeoLite2-City", IPVersion: version, RecordSize: size}, records)
			d, err := geo.Open(geo.Config{Files: []string{path}})
			if err != nil {
				t.Fatalf("IPv%d, %d bits: %v", version, size, err)
			}
			if got := locate(d, "1.0.42.1").Region; got != "42" {
				t.Errorf("IPv%d, %d bits: region %q", version, size, got)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for name, pattern := range map[string]byte{"to the root": 0, "to nowhere": 0xff} {
				broken := bytes.Clone(text)
				for i := range 80 {
					broken[1000+i] = pattern
				}
				replace(t, path, broken)
				if _, err := geo.Open(geo.Config{Files: []string{path}}); err == nil {
					t.Errorf("IPv%d, %d bits: a tree that leads %s was taken", version, size, name)
				}
			}
		}
	}
}

// TestATreeWhosePathsMeetIsRefusedInTime: each of 120 nodes leads twice to the
// next, so that there are more paths than could ever be walked.
func TestATreeWhosePathsMeetIsRefusedInTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "geo.mmdb")
	records := map[string]mmdbtype.Map{}
	for n := range 300 {
		records[network(n).String()+"/24"] = city("DE", fmt.Sprint(n))
	}
	write(t, path, "GeoLite2-City", 6, records)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const record, nodes = 3, 120 // bytes of a record
	for n := range nodes {
		next := []byte{0, 0, byte(n + 1)}
		copy(text[2*record*n:], append(next, next...))
	}
	replace(t, path, text)
	if _, err := geo.Open(geo.Config{Files: []string{path}}); err == nil || !strings.Contains(err.Error(), "more than 16 networks for each node") {
		t.Errorf("Open = %v, want that the tree is refused", err)
	}
}

// TestRecordsOfOtherTypesAreRefused: some vendors write the country as a text.
// Looked up only, every address would count as unknown.
func TestRecordsOfOtherTypesAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flat.mmdb")
	write(t, path, "country_asn", 6, map[string]mmdbtype.Map{"203.0.113.0/24": {"country": mmdbtype.String("DE")}})
	if _, err := geo.Open(geo.Config{Files: []string{path}}); err == nil || !strings.Contains(err.Error(), "203.0.113.0/24") || !strings.Contains(err.Error(), "/country") {
		t.Errorf("Open = %v, want that it names the network and the member", err)
	}
}
