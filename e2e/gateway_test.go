package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the gateway under test, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv(strangersEnv) != "" {
			if err := strangers(os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, "e2e: strangers:", err)
				return 1
			}
			return 0
		}
		dir, err := os.MkdirTemp("", "playgate-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
		binary = filepath.Join(dir, "playgate")
		args := []string{"build", "-o", binary}
		if raceEnabled {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, "..")...)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: building the gateway: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// files are what a gateway is started with: path below its folder → content.
// The configuration is playgate.yaml.
type files map[string]string

// gateway is a running gateway.
type gateway struct {
	t      testing.TB
	dir    string
	url    string
	admin  string
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan error
}

// logBuffer collects a process's output.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// head is the part of every configuration that the kit decides. drain_delay is
// short, because tests wait for it.
const head = `
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_delay: 1s}
log: {access: errors}
`

// start runs a gateway and waits until it is ready.
func start(t *testing.T, content files) *gateway {
	t.Helper()
	g := launch(t, content)
	g.await("ready", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	return g
}

// launch runs a gateway and waits until it listens.
func launch(t *testing.T, content files) *gateway {
	t.Helper()
	return launchBy(t, content)
}

// launchBy is launch by a command that runs the gateway's, whose words are added
// to its own.
func launchBy(t *testing.T, content files, by ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), log: &logBuffer{}, exited: make(chan error, 1)}
	for name, text := range content {
		g.write(name, text)
	}
	words := slices.Concat(by, []string{binary, "serve", "--config", filepath.Join(g.dir, "playgate.yaml")})
	g.cmd = exec.Command(words[0], words[1:]...)
	g.cmd.Stderr, g.cmd.Stdout = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { g.exited <- g.cmd.Wait() }()
	t.Cleanup(g.kill)
	g.await("listening", func() bool {
		line, ok := g.find("serving")
		if ok {
			g.url, g.admin = "http://"+line["address"].(string), "http://"+line["admin"].(string)
		}
		return ok
	})
	return g
}

// find returns the first log line with the message.
func (g *gateway) find(message string) (map[string]any, bool) {
	for line := range strings.Lines(g.log.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
			return fields, true
		}
	}
	return nil, false
}

// write puts a file into the gateway's folder, whole or not at all.
func (g *gateway) write(name, content string) {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		g.t.Fatal(err)
	}
}

// await polls until the condition holds, and fails with the log if it never does.
func (g *gateway) await(what string, condition func() bool) {
	g.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		select {
		case err := <-g.exited:
			g.exited <- err
			g.t.Fatalf("the gateway ended (%v) before: %s\n%s", err, what, g.log)
		default:
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("never came: %s\n%s", what, g.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitLine waits for the first line of the log with a message. The gateway writes
// its log beside what it does.
func (g *gateway) awaitLine(msg string) (line map[string]any) {
	g.t.Helper()
	g.await("the line: "+msg, func() (ok bool) {
		line, ok = g.find(msg)
		return ok
	})
	return line
}

// signal sends a signal to the gateway.
func (g *gateway) signal(s syscall.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		g.t.Fatal(err)
	}
}

// wait returns how the gateway ended.
func (g *gateway) wait() error {
	g.t.Helper()
	select {
	case err := <-g.exited:
		g.exited <- err
		return err
	case <-time.After(40 * time.Second):
		g.signal(syscall.SIGQUIT) // for the stacks
		g.t.Fatalf("the gateway does not end, and then with %v\n%s", <-g.exited, g.log)
		return nil
	}
}

func (g *gateway) kill() {
	select {
	case err := <-g.exited:
		g.exited <- err
	default:
		_ = g.cmd.Process.Kill()
		err := <-g.exited
		g.exited <- err
	}
	if log := g.log.String(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
		g.t.Errorf("the gateway raced or panicked:\n%s", log)
	}
}

// reply is an answer of the gateway.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// decode decodes the data member of a good answer into v.
func (r reply) decode(v any) error {
	envelope := struct{ Data any }{v}
	if err := json.Unmarshal(r.body, &envelope); err != nil || r.status != http.StatusOK {
		return fmt.Errorf("status %d, %w: %s", r.status, err, r.body)
	}
	return nil
}

// data is decode for tests that cannot go on without it.
func (r reply) data(t *testing.T, v any) {
	t.Helper()
	if err := r.decode(v); err != nil {
		t.Fatal(err)
	}
}

// code returns the code of an error answer.
func (r reply) code() string {
	var envelope struct{ Error struct{ Code string } }
	_ = json.Unmarshal(r.body, &envelope)
	return envelope.Error.Code
}

// client follows no redirect, and keeps enough connections for the load tests.
var client = &http.Client{
	Timeout:       15 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
}

// call makes a request. headers are name, value, …; a Host header is honoured.
func call(method, url, body string, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for n := 0; n < len(headers); n += 2 {
		if headers[n] == "Host" {
			req.Host = headers[n+1]
		}
		req.Header.Set(headers[n], headers[n+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, content}, err
}

// must is call for requests that must be answered, whatever the status.
func must(t testing.TB, method, url, body string, headers ...string) reply {
	t.Helper()
	r, err := call(method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func status(url string) int {
	r, err := call(http.MethodGet, url, "")
	if err != nil {
		return 0
	}
	return r.status
}

// basic returns the Authorization header of an access token.
func basic(id string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// newKey makes a signing key as a PKCS#1 PEM.
func newKey(t testing.TB) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// claims decodes a token's payload without verifying it.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a compact JWT: %q", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(payload, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
