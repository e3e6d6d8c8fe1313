package app_test

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/app"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// metric is what a metric's descriptor and its series say.
type metric struct {
	name, kind, help string
	labels           []string
}

// descriptor is how prometheus.Desc writes itself; it has no accessors.
var descriptor = regexp.MustCompile(`\ADesc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), unit: "[a-z]*", constLabels: \{\}, variableLabels: \{([^}]*)\}\}\z`)

// everything is a gateway that has every metric there is: those that depend on
// the configuration, too.
func everything(t *testing.T) *app.App {
	t.Helper()
	path := rulesFolder(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, string(text)+"geo: {database: geo/city.mmdb}\n")
	put(t, filepath.Join(filepath.Dir(path), "geo/city.mmdb"), geoDatabase(t, "FR"))
	return started(t, path)
}

// metricsOf lists the gateway's own metrics by name.
func metricsOf(t *testing.T, registry *prometheus.Registry) []metric {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	descriptors := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptors)
		registry.Describe(descriptors)
	}()
	var all []metric
	for d := range descriptors {
		if !strings.Contains(d.String(), `"playgate_`) {
			continue
		}
		parts := descriptor.FindStringSubmatch(d.String())
		if parts == nil {
			t.Errorf("%s cannot be read; ours have no constant labels", d)
			continue
		}
		m := metric{name: unquoted(t, parts[1]), help: unquoted(t, parts[2])}
		if parts[3] != "" {
			m.labels = strings.Split(parts[3], ",")
		}
		usual := "gauge"
		if strings.HasSuffix(m.name, "_total") {
			usual = "counter"
		}
		m.kind = cmp.Or(kinds[m.name], usual)
		if (m.kind == "counter") != (usual == "counter") {
			t.Errorf("%s is a %s: counters, and nothing else, end with _total", m.name, m.kind)
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	return all
}

func unquoted(t *testing.T, text string) string {
	t.Helper()
	text, err := strconv.Unquote(text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// section writes what docs/metrics.md says of a metric.
func (m metric) section() string {
	head := fmt.Sprintf("**`%s`**: %s", m.name, m.kind)
	if len(m.labels) > 0 {
		head += ", labels `" + strings.Join(m.labels, "` `") + "`"
	}
	var b strings.Builder
	b.WriteString(head + "\\\n")
	width := 0
	for word := range strings.FieldsSeq(m.help) {
		if width > 0 && width+1+len(word) > 116 {
			b.WriteByte('\n')
			width = 0
		} else if width > 0 {
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String() + "\n\n"
}

const (
	referenceBegins = "<!-- metrics: generated from the code by go generate ./app (part of make generate) -->\n"
	referenceEnds   = "<!-- /metrics -->\n"
)

// TestTheMetricReferenceIsCurrent: docs/metrics.md lists every metric as the
// process publishes it.
func TestTheMetricReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	const path = "../docs/metrics.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), referenceBegins)
	_, after, ends := strings.Cut(rest, referenceEnds)
	if !found || !ends {
		t.Fatal("docs/metrics.md has lost its marks")
	}
	text := before + referenceBegins + "\n"
	for _, m := range metricsOf(t, everything(t).Registry()) {
		text += m.section()
	}
	text += referenceEnds + after
	if *update {
		put(t, path, text)
	} else if text != string(page) {
		t.Errorf("docs/metrics.md is not current; make generate writes it")
	}
}

// TestMetricsAreWholeSentences, and every name of one, in the code and in the
// documentation, is one that is published.
func TestMetricsAreWholeSentences(t *testing.T) {
	t.Parallel()
	all := metricsOf(t, everything(t).Registry())
	names := map[string]bool{}
	for _, m := range all {
		names[m.name] = true
		if m.kind == "histogram" {
			names[m.name+"_bucket"], names[m.name+"_sum"], names[m.name+"_count"] = true, true, true
		}
		if first := m.help[:1]; first == strings.ToLower(first) && first != "1" || !strings.HasSuffix(m.help, ".") {
			t.Errorf("%s: %q, want a sentence", m.name, m.help)
		}
	}
	if len(all) < 30 {
		t.Errorf("only %d metrics", len(all))
	}
	inCode, inDocs := regexp.MustCompile(`"(playgate_[a-z0-9_]+)"`), regexp.MustCompile("(playgate_[a-z0-9_]+)")
	for name, file := range files(t) {
		pattern := inDocs
		if strings.HasSuffix(name, ".go") {
			pattern = inCode
		}
		for _, m := range pattern.FindAllStringSubmatch(file, -1) {
			if !names[m[1]] {
				t.Errorf("%s: there is no metric %s", name, m[1])
			}
		}
	}
}

// files returns the repository's code, without tests, and its documentation.
func files(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && (d.Name() == "node_modules" || d.Name() == ".git" || path == "benchmarks" || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return err
		}
		code := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
		if !code && !strings.HasSuffix(path, ".md") || path == "CHANGELOG.md" {
			return nil
		}
		f, err := root.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		out[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
