package world

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Config says how a gateway is started.
type Config struct {
	Dir        string        // required: an empty folder for its files and its log
	Binary     string        // required: what Build returned
	TTL        time.Duration // what the rules grant; 0: an hour
	MaxEntries int           // cache.max_entries; 0: a million
	MaxBytes   string        // cache.max_bytes; "": 4GiB
	Vault      *Vault        // nil: keys in files
	Issuer     *Issuer       // nil: a new one
}

// Gateway is the real binary, running, with everything on.
type Gateway struct {
	URL    string // of the public listener, http://127.0.0.1:…
	Admin  string // of the admin listener
	PID    int
	Key    *rsa.PublicKey // of FirstKey
	PEM    []byte         // FirstKey, private: peers sign with the same key
	Issuer *Issuer

	dir    string
	cmd    *exec.Cmd
	exited chan error
}

// Build builds the gateway from the parent module, without debug information of
// this machine, into dir, and returns the binary's path.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "playgate")
	if out, err := exec.CommandContext(ctx, "go", "build", "-C", root, "-trimpath", "-o", binary, ".").CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return "", fmt.Errorf("building the gateway: %w: %s", err, out)
	}
	return binary, nil
}

// moduleRoot returns the folder of the product's module, which benchmarks/go.mod
// replaces by its parent.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/playgate/playgate").Output()
	if err != nil {
		return "", fmt.Errorf("finding the product's module (run this from the checkout's benchmarks folder): %w", err)
	}
	return string(out[:max(0, len(out)-1)]), nil
}

// Start writes the gateway's files, starts it and waits until it is ready.
func Start(ctx context.Context, c Config) (*Gateway, error) {
	if c.TTL == 0 {
		c.TTL = time.Hour
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = 1_000_000
	}
	if c.MaxBytes == "" {
		c.MaxBytes = "4GiB"
	}
	listen, admin, err := FreeAddresses(ctx)
	if err != nil {
		return nil, err
	}
	g := &Gateway{URL: "http://" + listen, Admin: "http://" + admin, dir: c.Dir, exited: make(chan error, 1)}
	if err := g.writeFiles(c, listen, admin); err != nil {
		return nil, err
	}
	log, err := os.Create(g.logFile())
	if err != nil {
		return nil, fmt.Errorf("opening the gateway's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the child has its own copy
	// Not CommandContext: an interrupted run stops it in order, through Stop.
	g.cmd = exec.Command(c.Binary, "serve", "--config", filepath.Join(c.Dir, "playgate.yaml")) //nolint:gosec,noctx // our own build
	g.cmd.Stdout, g.cmd.Stderr = log, log
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the gateway: %w", err)
	}
	g.PID = g.cmd.Process.Pid
	go func() { g.exited <- g.cmd.Wait() }()
	if err := g.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

func (g *Gateway) logFile() string { return filepath.Join(g.dir, "gateway.log") }

// Log returns what the gateway has written so far.
func (g *Gateway) Log() string {
	text, err := os.ReadFile(g.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Reload sends SIGHUP.
func (g *Gateway) Reload() error {
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("asking for a reload: %w", err)
	}
	return nil
}

// Stop ends the gateway as an operator would, and returns how it ended.
func (g *Gateway) Stop() error {
	select {
	case err := <-g.exited:
		return fmt.Errorf("the gateway ended by itself: %v: %s", err, tail(g.Log())) //nolint:errorlint // nil is as wrong
	default:
	}
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the gateway: %w", err)
	}
	select {
	case err := <-g.exited:
		if err != nil {
			return fmt.Errorf("the gateway ended: %w: %s", err, tail(g.Log()))
		}
		return nil
	case <-time.After(40 * time.Second):
		return errors.Join(errors.New("the gateway does not stop"), g.cmd.Process.Kill(), <-g.exited)
	}
}

func tail(text string) string { return text[max(0, len(text)-2000):] }

func (g *Gateway) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if status, _, err := Get(ctx, g.Admin+"/readyz"); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway is not ready: %s", tail(g.Log()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Get makes one GET request of up to ten seconds. headers are name, value, ….
func Get(ctx context.Context, url string, headers ...string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil, fmt.Errorf("making a request: %w", err)
	}
	for n := 0; n+1 < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("asking %s: %w", url, err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	if body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20)); err != nil {
		return 0, nil, fmt.Errorf("reading %s: %w", url, err)
	}
	return res.StatusCode, body, nil
}

// FreeAddresses finds two loopback addresses that nobody listens on.
func FreeAddresses(ctx context.Context) (listen, admin string, err error) {
	var bind net.ListenConfig
	var found [2]string
	for n := range found {
		l, err := bind.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close() //nolint:errcheck // only its number was wanted
		found[n] = l.Addr().String()
	}
	return found[0], found[1], nil
}
