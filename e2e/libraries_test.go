package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLibrariesLogToTheLog: OpenTelemetry's own loggers write to standard error,
// and quote the headers that it is given, from the moment it is opened.
func TestLibrariesLogToTheLog(t *testing.T) {
	t.Parallel()
	g := launchBy(t, decisionsTo(t, "http://127.0.0.1:1").files, "env", "OTEL_EXPORTER_OTLP_HEADERS=authorization Bearer s3cr3t", "OTEL_EXPORTER_OTLP_TIMEOUT=soon")
	g.await("ready", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	g.awaitLine("OpenTelemetry reports an error")
	for line := range strings.Lines(g.log.String()) {
		if !json.Valid([]byte(line)) || strings.Contains(line, "s3cr3t") {
			t.Errorf("a line is not one of the log, or holds a header: %s", line)
		}
	}
}

// writesItself says of each library with code that writes to standard output or
// error why that does not pass the log by. A line that another one adds here must
// say what was looked at: a library whose logger can be set is to be told by
// app.logLibraries or where it is used.
var writesItself = map[string]string{
	"github.com/alecthomas/kong":                       "the command line, before anything runs",
	"github.com/antlr4-go/antlr/v4":                    "the default listener for errors, which cel-go removes",
	"github.com/gofiber/fiber/v2":                      "messages of Listen and of its client, which are not used",
	"github.com/gofiber/fiber/v2/log":                  "server.LogTo",
	"github.com/hashicorp/go-retryablehttp":            "the default logger, for which Vault's client sets none",
	"github.com/hashicorp/hcl/hcl/scanner":             "HCL is not read",
	"github.com/hashicorp/hcl/json/scanner":            "HCL is not read",
	"github.com/klauspost/compress/zlib":               "an example in a comment",
	"github.com/lestrrat-go/jwx/v2/internal/json":      "a dump that nothing calls",
	"github.com/mattn/go-colorable":                    "for fiber's messages of Listen",
	"github.com/pressly/goose/v3":                      "an example in a comment",
	"github.com/pressly/goose/v3/lock/internal/table":  "a lock that is not used",
	"github.com/valyala/fasthttp":                      "the default logger, which fiber replaces by a silent one",
	"go.opentelemetry.io/otel/internal/global":         "audit.LogTo",
	"github.com/go-logr/stdr":                          "OpenTelemetry's default: audit.LogTo",
	"golang.org/x/text/message":                        "functions that print, which nothing calls",
	"google.golang.org/grpc/grpclog":                   "audit.LogTo",
	"google.golang.org/protobuf/reflect/protodesc":     "a broken build",
	"google.golang.org/protobuf/reflect/protoregistry": "a broken build",
	"modernc.org/libc":                                 "C's abort, and tracing that is off",
	"modernc.org/memory":                               "tracing that is off",
}

// TestLibrariesThatWriteToStandardErrorAreKnown: their lines are neither bounded
// nor redacted, and wait for whoever reads standard error.
func TestLibrariesThatWriteToStandardErrorAreKnown(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", `{{if not .Standard}}{{$p := .}}{{range .GoFiles}}{{$p.ImportPath}} {{$p.Dir}}/{{.}}{{"\n"}}{{end}}{{end}}`, "..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	writes := regexp.MustCompile(`\bos\.Std(out|err)\b`)
	found := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		pkg, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		if pkg == "" || strings.HasPrefix(pkg, "github.com/playgate/playgate") {
			continue
		}
		text, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			t.Fatal(err)
		}
		if writes.Match(text) {
			found[pkg] = true
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(found)) {
		if writesItself[pkg] == "" {
			t.Errorf("%s writes to standard output or error by itself, and writesItself does not say why that is harmless", pkg)
		}
	}
	for pkg := range writesItself {
		if !found[pkg] {
			t.Errorf("%s does not write to standard output or error any more", pkg)
		}
	}
}
