package audit

import (
	"bytes"
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

// otlp is a sink that sends records to an OpenTelemetry collector.
type otlp struct {
	provider *sdklog.LoggerProvider
	logger   otellog.Logger
}

// OpenOTLP returns a sink that sends records as log records by OTLP over HTTP to
// a collector's base URL, such as http://127.0.0.1:4318. The body is the
// record's JSON. A collector that is away loses records, never a request.
func OpenOTLP(ctx context.Context, endpoint string) (Sink, error) {
	exporter, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(endpoint+"/v1/logs"))
	if err != nil {
		return nil, fmt.Errorf("opening the OTLP exporter: %w", err)
	}
	provider := sdklog.NewLoggerProvider(
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)),
		sdklog.WithResource(resource.NewSchemaless(attribute.String("service.name", "playgate"))),
	)
	return &otlp{provider, provider.Logger("playgate/decisions")}, nil
}

// Write hands the records to the exporter, which sends them in the background.
func (s *otlp) Write(entries []Entry) error {
	for _, e := range entries {
		var r otellog.Record
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
		s.logger.Emit(context.Background(), r)
	}
	return nil
}

// Close sends what is left.
func (s *otlp) Close(ctx context.Context) error {
	if err := s.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last decisions: %w", err)
	}
	return nil
}
