package audit_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/playgate/playgate/audit"
)

// receiver is a collector: OTLP over HTTP by OpenTelemetry's own definitions.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex
	refuse   []int // statuses to answer before it takes anything
	requests int
	key      string // the header of that name, of the last request
	taken    []*logs.ResourceLogs
	problems []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.Close()
		for _, p := range r.problems {
			t.Error(p)
		}
	})
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	r.key = req.Header.Get("Key")
	wrong := func(format string, args ...any) { r.problems = append(r.problems, fmt.Sprintf(format, args...)) }
	if req.Method != http.MethodPost || req.URL.Path != "/v1/logs" || req.Header.Get("Content-Type") != "application/x-protobuf" || req.Header.Get("Content-Encoding") != "gzip" {
		wrong("%s %s with %v", req.Method, req.URL, req.Header)
	}
	var sent collector.ExportLogsServiceRequest
	unzipped, err := gzip.NewReader(req.Body)
	if err == nil {
		var body []byte
		if body, err = io.ReadAll(unzipped); err == nil {
			err = proto.Unmarshal(body, &sent)
		}
	}
	if err != nil {
		wrong("the body: %v", err)
	}
	if len(r.refuse) > 0 {
		status := r.refuse[0]
		r.refuse = r.refuse[1:]
		w.WriteHeader(status)
		return
	}
	r.taken = append(r.taken, sent.GetResourceLogs()...)
	answer, _ := proto.Marshal(&collector.ExportLogsServiceResponse{})
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

// records returns what was taken.
func (r *receiver) records() (out []*logs.LogRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range r.taken {
		for _, scope := range resource.GetScopeLogs() {
			out = append(out, scope.GetLogRecords()...)
		}
	}
	return out
}

func attributes(list []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range list {
		out[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return out
}

// openOTLP returns a log that sends to a collector.
func openOTLP(t *testing.T, url string, registry prometheus.Registerer, queue int) (l *audit.Log, stop func()) {
	t.Helper()
	sink, err := audit.OpenOTLP(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, audit.Config{Sink: sink, Registerer: registry, Queue: queue, KeepInputs: true})
}

func TestACollectorGetsTheRecords(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	registry := prometheus.NewRegistry()
	l, stop := openOTLP(t, r.URL, registry, 1000)
	const sent = 600 // more than one request takes
	for i := range sent {
		d := refused()
		d.RequestID = fmt.Sprint("r", i)
		l.Keep(d)
	}
	stop() // sends what is left
	records := r.records()
	if len(records) != sent {
		t.Fatalf("%d records were taken before Stop returned, want %d", len(records), sent)
	}
	resource := attributes(r.taken[0].GetResource().GetAttributes())
	if resource["service.name"] != "playgate" || r.taken[0].GetScopeLogs()[0].GetScope().GetName() != "playgate/decisions" {
		t.Errorf("resource %v, scope %v", resource, r.taken[0].GetScopeLogs()[0].GetScope())
	}
	first := records[0]
	body := first.GetBody().GetStringValue()
	var seen []string
	if _, err := audit.Read(strings.NewReader(body+"\n"), audit.Filter{}, func(rec *audit.Record, _ []byte) error {
		seen = append(seen, rec.RequestID, string(rec.Reason), rec.Inputs.Request.Country)
		return nil
	}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"r0", "not_released", "DE"}, seen); diff != "" {
		t.Errorf("the body (-want +got):\n%s%s", diff, body)
	}
	if strings.Contains(body, "alice") {
		t.Errorf("the body names the viewer: %s", body)
	}
	want := map[string]string{
		"environment": "acme-prod", "decision": "deny", "rule": "embargo", "reason": "not_released", "policy_revision": "0123456789ab",
		"playback_id": "PID1", "type": "video", "request_id": "r0",
	}
	if diff := cmp.Diff(want, attributes(first.GetAttributes())); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if first.GetEventName() != "playgate.decision" || first.GetTimeUnixNano() != uint64(started.UnixNano()) || first.GetSeverityNumber() != logs.SeverityNumber_SEVERITY_NUMBER_INFO {
		t.Errorf("record %v", first)
	}
	if diff := cmp.Diff(map[string]float64{"written": sent, "dropped": 0, "failed": 0}, results(t, registry)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

// TestOpenTelemetrysVariablesCount: a collector of somebody else's wants a
// credential.
func TestOpenTelemetrysVariablesCount(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "key=k1")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1") // the configuration says another
	r := newReceiver(t)
	l, stop := openOTLP(t, r.URL, nil, 10)
	l.Keep(refused())
	stop()
	if len(r.taken) != 1 || r.key != "k1" {
		t.Fatalf("%d requests were taken, the key is %q", len(r.taken), r.key)
	}
	want := map[string]string{"service.name": "playgate", "deployment.environment.name": "prod"}
	if diff := cmp.Diff(want, attributes(r.taken[0].GetResource().GetAttributes())); diff != "" {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
}

// TestACollectorThatIsBusyIsAskedAgain, and one that refuses for good is not;
// what it did not take counts as failed.
func TestACollectorThatIsBusyIsAskedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refuse   []int
		requests int
		want     map[string]float64
	}{
		"503":           {[]int{503}, 2, map[string]float64{"written": 1, "dropped": 0, "failed": 0}},
		"429, then 502": {[]int{429, 502}, 3, map[string]float64{"written": 1, "dropped": 0, "failed": 0}},
		"400, for good": {[]int{400}, 1, map[string]float64{"written": 0, "dropped": 0, "failed": 1}},
		"401, for good": {[]int{401}, 1, map[string]float64{"written": 0, "dropped": 0, "failed": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			r.refuse = c.refuse
			registry := prometheus.NewRegistry()
			l, stop := openOTLP(t, r.URL, registry, 10)
			l.Keep(refused())
			await(t, func() bool { got := results(t, registry); return got["written"]+got["failed"] > 0 })
			stop()
			if diff := cmp.Diff(c.want, results(t, registry)); diff != "" || r.requests != c.requests {
				t.Errorf("%d requests, want %d; results (-want +got):\n%s", r.requests, c.requests, diff)
			}
		})
	}
}

func await(t *testing.T, until func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if until() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come to that in 30 s")
}

// TestACollectorThatIsRestartedLosesNothing that fits into the queue.
func TestACollectorThatIsRestartedLosesNothing(t *testing.T) {
	t.Parallel()
	var bind net.ListenConfig
	listener, err := bind.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil { // there is nobody
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	l, stop := openOTLP(t, "http://"+address, registry, 1000)
	const sent = 300
	for range sent {
		l.Keep(refused())
	}
	r := &receiver{}
	if listener, err = bind.Listen(t.Context(), "tcp", address); err != nil {
		t.Fatal(err)
	}
	r.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: r}}
	r.Start()
	defer r.Close()
	await(t, func() bool { return len(r.records()) == sent })
	stop()
	if diff := cmp.Diff(map[string]float64{"written": sent, "dropped": 0, "failed": 0}, results(t, registry)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

// TestACollectorThatIsAwayCostsNobodyAnything: one that refuses connections, one
// that takes them and never answers. No decision waits, what cannot be sent is
// counted, memory stays, and the end comes in time.
func TestACollectorThatIsAwayCostsNobodyAnything(t *testing.T) {
	t.Parallel()
	var bind net.ListenConfig
	listener, err := bind.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // a backlog that nobody looks at
	for name, url := range map[string]string{"refused": "http://127.0.0.1:1", "silent": "http://" + listener.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			sink, err := audit.OpenOTLP(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			l, _ := open(t, audit.Config{Sink: sink, Registerer: registry, Queue: 500, KeepInputs: true})
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			keep := func(n int) {
				for range n {
					d := refused()
					d.Question.Viewer.Claims = map[string]any{"long": strings.Repeat("x", 1000)}
					l.Keep(d)
				}
			}
			keep(2000) // the queue is full
			before := heap()
			begun := time.Now()
			keep(50_000)
			if took := time.Since(begun); took > 20*time.Second { // one that waited would wait for seconds each
				t.Errorf("50,000 decisions took %s", took)
			}
			if after := heap(); after > before+10<<20 {
				t.Errorf("the heap grew from %d to %d bytes", before, after)
			}
			got := results(t, registry)
			if got["written"] > 0 || got["dropped"]+got["failed"] < 50_000 {
				t.Errorf("results %v: want all but the queue to be counted as lost", got)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			begun = time.Now()
			err = l.Stop(ctx)
			if took := time.Since(begun); took > 10*time.Second || err == nil {
				t.Errorf("Stop = %v after %s, want that not all was sent, in time", err, took)
			}
			await(t, func() bool {
				got := results(t, registry)
				return got["dropped"]+got["failed"] == 52_000
			})
		})
	}
}
