package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

const (
	// patience is how long a collector is asked again about the same records, one
	// that is busy (429, 502, 503, 504) or is not there. What comes meanwhile
	// waits in the Log's queue.
	patience   = time.Minute
	firstRetry = time.Second
	lastRetry  = 10 * time.Second
)

// otlp is a sink that sends records to an OpenTelemetry collector. It has no
// queue beside the Log's, so that what is lost is counted there.
type otlp struct {
	exporter *otlploghttp.Exporter
	made     *made
	logger   otellog.Logger
}

// made takes the records that the SDK has made of entries.
type made struct{ records []sdklog.Record }

func (m *made) OnEmit(_ context.Context, r *sdklog.Record) error {
	m.records = append(m.records, r.Clone())
	return nil
}

func (*made) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*made) ForceFlush(context.Context) error                       { return nil }
func (*made) Shutdown(context.Context) error                         { return nil }

// OpenOTLP returns a sink that sends records as log records by OTLP over HTTP,
// compressed, to a collector's base URL, such as http://127.0.0.1:4318. The body
// is the record's JSON. OpenTelemetry's environment variables add headers,
// certificates and resource attributes.
func OpenOTLP(ctx context.Context, endpoint string) (Sink, error) {
	exporter, err := otlploghttp.New(
		ctx, otlploghttp.WithEndpointURL(endpoint+"/v1/logs"), otlploghttp.WithCompression(otlploghttp.GzipCompression),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{Enabled: true, InitialInterval: firstRetry, MaxInterval: lastRetry, MaxElapsedTime: patience}),
	)
	if err != nil {
		return nil, fmt.Errorf("opening the OTLP exporter: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "playgate")), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("reading OpenTelemetry's resource attributes: %w", err)
	}
	m := &made{}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(m), sdklog.WithResource(about))
	return &otlp{exporter, m, provider.Logger("playgate/decisions")}, nil
}

// Write sends the records, and returns when the collector has them or there is
// no hope.
func (s *otlp) Write(ctx context.Context, entries []Entry) error {
	for _, e := range entries {
		s.logger.Emit(ctx, logRecord(&e))
	}
	defer func() { clear(s.made.records); s.made.records = s.made.records[:0] }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := s.exporter.Export(ctx, s.made.records)
		if err == nil {
			return nil
		}
		absent, ok := errors.AsType[*net.OpError](err)
		if !ok || absent.Op != "dial" || !sleep(ctx, firstRetry) {
			return fmt.Errorf("sending decisions: %w", err)
		}
	}
}

// sleep reports whether it slept that long before the context ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func logRecord(e *Entry) (r otellog.Record) {
	r.SetTimestamp(e.Record.Time)
	r.SetSeverity(otellog.SeverityInfo)
	r.SetEventName("playgate.decision")
	r.SetBody(attribute.StringValue(string(bytes.TrimSpace(e.Line))))
	r.AddAttributes(
		attribute.String("environment", string(e.Record.Environment)),
		attribute.String("decision", e.Record.Decision),
		attribute.String("rule", e.Record.Rule),
		attribute.String("reason", string(e.Record.Reason)),
		attribute.String("policy_revision", e.Record.Revision),
		attribute.String("playback_id", string(e.Record.PlaybackID)),
		attribute.String("type", e.Record.Type),
		attribute.String("request_id", e.Record.RequestID),
	)
	return r
}

// Close closes the exporter; everything was sent.
func (s *otlp) Close(ctx context.Context) error { return s.exporter.Shutdown(ctx) }
