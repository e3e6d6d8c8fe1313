//go:build !race

// The race detector takes several times the memory, so these tests are not part of
// what is built with it: `make test` runs them in a second pass.

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
)

// container is the memory that the gateway of these tests may have.
const container = 256 << 20

// confined starts a gateway that may have as much memory as the container: in a
// control group where the test may make one, which kills what takes more, else
// below GOMEMLIMIT, which is then nine tenths of it as it would be in a container;
// withstand looks at what is resident either way.
func confined(t *testing.T, content files) *gateway {
	t.Helper()
	script := `export GOMEMLIMIT=` + strconv.Itoa(container/10*9) + `; exec "$@"`
	if group := memoryGroup(t); group != "" {
		script = `echo $$ > ` + group + `/cgroup.procs && exec "$@"`
	}
	g := launchBy(t, content, "sh", "-c", script, "sh")
	g.await("ready", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	if line, ok := g.find("memory limits"); !ok || line["of"] != "limit" {
		t.Fatalf("the gateway does not know its limit: %v", line)
	}
	return g
}

// memoryGroup makes a control group of the container's size, "" where that is not
// permitted.
func memoryGroup(t *testing.T) string {
	t.Helper()
	for _, version := range []struct{ root, limit string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		group := filepath.Join(version.root, fmt.Sprintf("playgate-test-%d-%d", os.Getpid(), groups.Add(1)))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(group) })
		limit := filepath.Join(group, version.limit)
		if _, err := os.Stat(limit); err != nil { // a folder, or a group without control of memory
			continue
		}
		if os.WriteFile(limit, []byte(strconv.Itoa(container)), 0o600) == nil {
			_ = os.WriteFile(filepath.Join(group, "memory.swap.max"), []byte("0"), 0o600) // version 2; there may be no swap
			return group
		}
	}
	t.Log("no control group can be made; GOMEMLIMIT stands for it")
	return ""
}

var groups atomic.Int64

// anonymous returns the memory that the gateway has resident and that no file backs,
// bytes: what counts against a container and cannot be reclaimed.
func (g *gateway) anonymous() int {
	g.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		g.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		g.t.Fatal(err)
	}
	return kilobytes << 10
}

// good asks for a token, on a connection of its own.
func good(url string) (status int, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url+"/v1/playback-ids/PIDacme/token", http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", basic("tok-acme"))
	return alone(request)
}

// alone makes a request on a connection of its own. It waits for longer than anybody
// would: the test shares its machine.
func alone(request *http.Request) (status int, err error) {
	request.Close = true
	patient := http.Client{Timeout: time.Minute}
	response, err := patient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// withstand checks that the gateway answers good requests of each kind while it is
// attacked, and lives.
func (g *gateway) withstand(a *attack, kinds map[string]func() (status int, err error)) {
	g.t.Helper()
	slowest := make(map[string]time.Duration)
	failed, peak := 0, 0
	const rounds = 100
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for range rounds {
		<-pace.C
		for kind, request := range kinds {
			began := time.Now()
			status, err := request()
			slowest[kind], peak = max(slowest[kind], time.Since(began)), max(peak, g.anonymous())
			if err != nil || status != http.StatusOK {
				failed++
				g.t.Logf("%s: status %d, %v", kind, status, err)
			}
		}
	}
	said := a.end()
	g.t.Logf("%d of %d good requests answered, the slowest in %v; %d connections of strangers, answers %v; at most %d MiB of its own resident",
		rounds*len(kinds)-failed, rounds*len(kinds), slowest, said.Opened, said.Answered, peak>>20)
	if failed > 0 {
		g.t.Errorf("%d of %d good requests were not answered", failed, rounds*len(kinds))
	}
	if said.Opened < a.Count {
		g.t.Errorf("%d of %d strangers came: that is no attack", said.Opened, a.Count)
	}
	if peak > container {
		g.t.Errorf("%d MiB were resident, more than %d", peak>>20, container>>20)
	}
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		g.t.Errorf("after SIGTERM: %v, want exit 0\n%.4000s", err, g.log)
	}
}

// viewers are good requests for a token, each on a connection of its own.
func (g *gateway) viewers() map[string]func() (int, error) {
	return map[string]func() (int, error){"a token": func() (int, error) { return good(g.url) }}
}

// TestChaosUnfinishedHeaders sends 12,750 headers of nearly the greatest length that
// never end.
func TestChaosUnfinishedHeaders(t *testing.T) {
	w := newWorld(t, "", "acme")
	g := confined(t, w.files)
	a := g.attack(12_750, time.Minute, "GET /v1/playback-ids/PIDacme/token HTTP/1.1\r\nHost: acme.example\r\nX-Padding: "+strings.Repeat("x", 16_000))
	g.withstand(a, g.viewers())
}

// TestChaosWebhookBodies sends 400 webhooks of a megabyte at a time whose signature
// might be right and is not, complete and not. Those of Mux are taken meanwhile, also
// ones that are longer than Mux's are.
func TestChaosWebhookBodies(t *testing.T) {
	for name, missing := range map[string]int{"complete": 0, "unfinished": 1} {
		t.Run(name, func(t *testing.T) {
			w := newMuxWorld(t, "        mux: {environment_id: mux1}\n")
			w.asset(t, "FilmA1", "", "FilmP1")
			g := confined(t, w.files)
			const size = 1_000_000
			signature := fmt.Sprintf("t=%d,v1=%s", time.Now().Unix(), strings.Repeat("0", 64))
			a := g.attack(400, 5*time.Second, fmt.Sprintf("POST /v1/webhooks/mux/acme HTTP/1.1\r\nHost: acme.example\r\nMux-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
				signature, size, strings.Repeat(" ", size-missing)))
			kinds := g.viewers()
			kinds["a webhook"] = func() (int, error) { return w.deliver(t, g, 0) }
			kinds["a webhook of 16 KiB"] = func() (int, error) { return w.deliver(t, g, 16<<10) }
			g.withstand(a, kinds)
		})
	}
}

// deliver sends a webhook as Mux would, on a connection of its own, with spaces up to
// a length.
func (w *muxWorld) deliver(t *testing.T, g *gateway, length int) (status int, err error) {
	t.Helper()
	body := w.webhook(t, "mux1", "video.asset.ready", "FilmA1")
	body = append(body, strings.Repeat(" ", max(0, length-len(body)))...)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.url+"/v1/webhooks/mux/acme", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Mux-Signature", muxsim.SignWebhook(body, time.Now(), hookSecret))
	return alone(request)
}

// TestChaosBatchBodies sends 600 batches of 500 kB at a time: of nobody, of somebody
// whose token is none, and, where everybody may ask, of as many values as a body may
// have.
func TestChaosBatchBodies(t *testing.T) {
	const size = 500_000
	values := `{"requests":[` + strings.Repeat("1,", 49_000) + strings.Repeat(" ", size-100_000) + `1]}`
	spaces := strings.Repeat(" ", size-1)
	for name, c := range map[string]struct {
		header, extra, body string
		missing             int
	}{
		"no credential":       {"", "", spaces, 1},
		"a false credential":  {"Authorization: Bearer e30.e30.e30\r\n", "", spaces, 1},
		"anonymous":           {"", "        anonymous: true\n", spaces, 1},
		"anonymous, complete": {"", "        anonymous: true\n", values, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.extra, "acme")
			g := confined(t, w.files)
			a := g.attack(600, 5*time.Second, fmt.Sprintf("POST /v1/tokens/batch HTTP/1.1\r\nHost: acme.example\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
				c.header, len(c.body)+c.missing, c.body))
			g.withstand(a, g.viewers())
		})
	}
}
