package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAStopWaitsForNobodyWhoIsSilent: browsers open connections in advance, and
// balancers look whether they can. What never sent a whole header is no request.
func TestAStopWaitsForNobodyWhoIsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	g := launch(t, w.files)
	target := strings.TrimPrefix(g.url, "http://")
	silent(t, target, "127.0.0.2", 5)
	half, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = half.Close() })
	if _, err := half.Write([]byte("GET /v1/playback-ids/PIDacme/token HTTP/1.1\r\nHost: ")); err != nil {
		t.Fatal(err)
	}
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit 0\n%s", err, g.log)
	}
	if strings.Contains(g.log.String(), "request_timeout") {
		t.Errorf("connections without a request were waited for until their time was over\n%s", g.log)
	}
}

// TestSIGTERMEndsAStartThatReadsAFileForever: a network file system may hang.
func TestSIGTERMEndsAStartThatReadsAFileForever(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	g := &gateway{t: t, dir: t.TempDir(), log: &logBuffer{}, exited: make(chan error, 1)}
	for name, text := range w.files {
		g.write(name, text)
	}
	rules := filepath.Join(g.dir, "rules-acme.yaml")
	if err := os.Remove(rules); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(rules, 0o600); err != nil {
		t.Fatal(err)
	}
	g.cmd = exec.Command(binary, "serve", "--config", filepath.Join(g.dir, "playgate.yaml"))
	g.cmd.Stderr, g.cmd.Stdout = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { g.exited <- g.cmd.Wait() }()
	t.Cleanup(g.kill)
	writer, err := os.OpenFile(rules, os.O_WRONLY, 0) // returns when the gateway has opened it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = writer.Close() })
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit 0\n%s", err, g.log)
	}
}
