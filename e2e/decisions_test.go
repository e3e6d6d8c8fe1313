package e2e_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"
)

// decisionsTo is a world whose decisions all go to a collector.
func decisionsTo(t *testing.T, endpoint string) *world {
	t.Helper()
	w := newWorld(t, "", "acme")
	w.files["pseudonyms"] = strings.Repeat("k", 40)
	w.files["playgate.yaml"] += fmt.Sprintf("decisions: {output: otlp, otlp_endpoint: %q, allow: all, pseudonym_key_file: pseudonyms, queue: 100}\n", endpoint)
	return w
}

func TestDecisionsReachACollector(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	busy, got := 1, map[string]int{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if busy--; busy >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var sent collector.ExportLogsServiceRequest
		unzipped, err := gzip.NewReader(r.Body)
		if err == nil {
			var body []byte
			if body, err = io.ReadAll(unzipped); err == nil {
				err = proto.Unmarshal(body, &sent)
			}
		}
		if err != nil {
			t.Error(err)
		}
		for _, resource := range sent.GetResourceLogs() {
			for _, scope := range resource.GetScopeLogs() {
				for _, record := range scope.GetLogRecords() {
					var decision struct {
						ID string `json:"request_id"`
					}
					if err := json.Unmarshal([]byte(record.GetBody().GetStringValue()), &decision); err != nil {
						t.Error(err)
					}
					got[decision.ID]++
				}
			}
		}
	}))
	defer receiver.Close()
	g := start(t, decisionsTo(t, receiver.URL).files)
	want := map[string]bool{}
	ask := func() {
		for range 10 {
			r := must(t, http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"PIDacme"}`, "Authorization", basic("tok-acme"))
			want[r.header.Get("X-Request-Id")] = true
		}
	}
	ask()
	g.await("records that were sent again after 503", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 10 })
	ask() // and the end, which sends the rest
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	for id := range want {
		if got[id] != 1 {
			t.Errorf("request %s was recorded %d times", id, got[id])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d requests were recorded, want %d", len(got), len(want))
	}
}

// TestACollectorThatNeverAnswersHoldsNothingUp: no request, and not the end.
func TestACollectorThatNeverAnswersHoldsNothingUp(t *testing.T) {
	t.Parallel()
	var bind net.ListenConfig
	silent, err := bind.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	g := start(t, decisionsTo(t, "http://"+silent.Addr().String()).files)
	for range 500 { // far more than may wait
		if r := must(t, http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"PIDacme"}`, "Authorization", basic("tok-acme")); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	metrics := string(must(t, http.MethodGet, g.admin+"/metrics", "").body)
	if !strings.Contains(metrics, `playgate_decision_log_records_total{result="written"} 0`) || strings.Contains(metrics, `playgate_decision_log_records_total{result="dropped"} 0`) {
		t.Error("what was dropped is not counted")
	}
	begun := time.Now()
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("the end took %s", took)
	}
	if _, ok := g.find("the last decisions are lost"); !ok {
		t.Error("the log does not say that decisions were lost")
	}
	for line := range strings.Lines(g.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
}
