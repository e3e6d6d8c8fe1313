package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// container is the memory that the gateway of these tests may have.
const container = 256 << 20

// confined starts a gateway that may have as much memory as the container: in a
// control group where the test may make one, which kills what takes more, else
// below GOMEMLIMIT, which is then nine tenths of it as it would be in a container.
func confined(t *testing.T, content files) *gateway {
	t.Helper()
	if raceEnabled {
		t.Skip("NOT TESTED: the race detector takes several times the memory; `make chaos` runs it without")
	}
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

// attack is what strangers send, each on a connection of its own, until it is over.
type attack struct {
	t        testing.TB
	target   string
	over     chan struct{}
	dialing  chan struct{} // a place for each that is connecting: the kernel's queue is not what is attacked
	sending  sync.WaitGroup
	opened   atomic.Int64
	answered sync.Map // status line → *atomic.Int64
}

func newAttack(g *gateway) *attack {
	a := &attack{t: g.t, target: strings.TrimPrefix(g.url, "http://"), over: make(chan struct{}), dialing: make(chan struct{}, 64)}
	g.t.Cleanup(a.end)
	return a
}

// end ends the attack, and returns when nobody sends any more.
func (a *attack) end() {
	select {
	case <-a.over:
	default:
		close(a.over)
	}
	a.sending.Wait()
}

// strangers lets so many strangers, sixteen from an address, open connections and
// send the text on each. Each waits for an answer or the end of the connection, and
// then for the pause, before it opens the next.
func (a *attack) strangers(count int, pause time.Duration, text string) {
	for n := range count {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>4>>8), byte(n>>4))}, Timeout: 10 * time.Second}
		a.sending.Go(func() {
			for {
				a.send(&dialer, text)
				select {
				case <-a.over:
					return
				case <-time.After(pause):
				}
			}
		})
	}
}

func (a *attack) send(dialer *net.Dialer, text string) {
	a.dialing <- struct{}{}
	c, err := dialer.Dial("tcp", a.target)
	<-a.dialing
	if err != nil {
		return // refused connections are as good
	}
	defer c.Close()
	a.opened.Add(1)
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		select {
		case <-a.over:
			_ = c.SetDeadline(time.Unix(1, 0))
		case <-gone:
		}
	}()
	_, _ = io.WriteString(c, text)
	var line [12]byte // "HTTP/1.1 503"
	if _, err := io.ReadFull(c, line[:]); err == nil {
		count, _ := a.answered.LoadOrStore(string(line[9:]), new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
	}
}

// good makes a good request on a connection of its own. It waits for longer than
// anybody would: the test shares its machine.
func good(url string) (status int, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url+"/v1/playback-ids/PIDacme/token", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", basic("tok-acme"))
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

// withstand checks that the gateway answers good requests while it is attacked, and
// lives.
func (g *gateway) withstand(a *attack) {
	g.t.Helper()
	var slowest time.Duration
	failed, peak := 0, 0
	const requests = 100
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for range requests {
		<-pace.C
		began := time.Now()
		status, err := good(g.url)
		slowest, peak = max(slowest, time.Since(began)), max(peak, g.anonymous())
		if err != nil || status != http.StatusOK {
			failed++
			g.t.Logf("a good request: status %d, %v", status, err)
		}
	}
	a.end()
	answers := ""
	a.answered.Range(func(status, count any) bool {
		answers += fmt.Sprintf(" %s: %d", status, count.(*atomic.Int64).Load())
		return true
	})
	g.t.Logf("%d of %d good requests answered, the slowest in %v; %d connections of strangers, answers%s; at most %d MiB of its own resident",
		requests-failed, requests, slowest, a.opened.Load(), answers, peak>>20)
	if failed > 0 {
		g.t.Errorf("%d of %d good requests were not answered", failed, requests)
	}
	if peak > container {
		g.t.Errorf("%d MiB were resident, more than %d", peak>>20, container>>20)
	}
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		g.t.Errorf("after SIGTERM: %v, want exit 0\n%.4000s", err, g.log)
	}
}

// TestChaosUnfinishedHeaders sends 12,750 headers of nearly the greatest length that
// never end.
func TestChaosUnfinishedHeaders(t *testing.T) {
	w := newWorld(t, "", "acme")
	g := confined(t, w.files)
	a := newAttack(g)
	a.strangers(12_750, time.Minute, "GET /v1/playback-ids/PIDacme/token HTTP/1.1\r\nHost: acme.example\r\nX-Padding: "+strings.Repeat("x", 16_000))
	g.withstand(a)
}

// TestChaosWebhookBodies sends 400 webhooks of a megabyte at a time whose signature
// might be right and is not, complete and not.
func TestChaosWebhookBodies(t *testing.T) {
	for name, missing := range map[string]int{"complete": 0, "unfinished": 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "", "acme")
			g := confined(t, w.files)
			a := newAttack(g)
			const size = 1_000_000
			signature := fmt.Sprintf("t=%d,v1=%s", time.Now().Unix(), strings.Repeat("0", 64))
			a.strangers(400, 5*time.Second, fmt.Sprintf("POST /v1/webhooks/mux/acme HTTP/1.1\r\nHost: acme.example\r\nMux-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
				signature, size, strings.Repeat(" ", size-missing)))
			g.withstand(a)
		})
	}
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
			a := newAttack(g)
			a.strangers(600, 5*time.Second, fmt.Sprintf("POST /v1/tokens/batch HTTP/1.1\r\nHost: acme.example\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
				c.header, len(c.body)+c.missing, c.body))
			g.withstand(a)
		})
	}
}
