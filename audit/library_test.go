package audit_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"

	"github.com/playgate/playgate/audit"
)

// lockedText is a writer that other tests' libraries may write to, too.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestLibrariesLogWhereTheyAreTold: their own loggers write to standard error. What
// they say of headers holds credentials.
func TestLibrariesLogWhereTheyAreTold(t *testing.T) { // environment variables, and loggers of the process
	for _, header := range []string{"authorization Bearer s3cr3t", "authorization=Bearer%zs3cr3t", "s3cr3t key=x"} {
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", header)
		log := &lockedText{}
		audit.LogTo(slog.New(slog.NewTextHandler(log, nil)))
		sink, err := audit.OpenOTLP(t.Context(), "http://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if text := log.String(); !strings.Contains(text, "OTEL_EXPORTER_OTLP_HEADERS") || strings.Contains(text, "s3cr3t") {
			t.Errorf("with the header %q the log is, want the variable named and nothing of its value:\n%s", header, text)
		}
	}
	log := &lockedText{}
	audit.LogTo(slog.New(slog.NewTextHandler(log, nil)))
	otel.Handle(errors.New("handled"))
	grpclog.Error("of gRPC")
	_, _ = audit.OpenOTLP(t.Context(), "http://%zz") // logged, besides
	for _, want := range []string{"level=WARN", "handled", "of gRPC", "library=grpc", "parse endpoint url"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
	if n := strings.Count(log.String(), "of gRPC"); n != 1 {
		t.Errorf("gRPC's error is logged %d times, want once", n)
	}
}
