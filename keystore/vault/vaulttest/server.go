package vaulttest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// Server is a running Vault, unsealed, with a KV version 2 engine at secret/.
type Server struct {
	Address   string // http://127.0.0.1:…, or https
	RootToken string
	CAFile    string // of its certificate; "" over http
	Socket    string // unix:///…, "" without one

	t         testing.TB
	binary    string
	arguments []string
	home      string
	unsealKey string // "" in dev mode
	process   *process
	setup     *sync.Mutex // makes AppRole mount its method once
}

// For returns the same server for setting things up in a subtest, which fails
// instead of the test that the server was started for. It cannot be killed,
// restarted, sealed or unsealed through it.
func (s *Server) For(t testing.TB) *Server {
	c := *s
	c.t, c.process, c.unsealKey = t, nil, ""
	return &c
}

// startWithin bounds every wait for the server.
const startWithin = 30 * time.Second

const pollEvery = 10 * time.Millisecond

// Dev starts a server in dev mode: in memory, unsealed from the start. It takes
// some 100 ms.
func Dev(t testing.TB) *Server {
	t.Helper()
	const token = "root"
	s := &Server{t: t, binary: Binary(t), home: t.TempDir(), setup: &sync.Mutex{}, RootToken: token}
	s.startAnywhere(func(listener, _ string) []string {
		return []string{"server", "-dev", "-dev-no-store-token", "-dev-root-token-id=" + token, "-dev-listen-address=" + listener}
	})
	s.awaitHealth(http.StatusOK)
	return s
}

// DevSocket starts a server like Dev, which listens on a socket, too.
func DevSocket(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "vault") //nolint:usetesting // a socket's path has at most some 100 characters; a test's name may be longer
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	const token = "root"
	s := &Server{t: t, binary: Binary(t), home: t.TempDir(), setup: &sync.Mutex{}, RootToken: token, Socket: "unix://" + filepath.Join(dir, "vault.sock")}
	more := s.File("socket.hcl", fmt.Sprintf("listener \"unix\" { address = %q }\n", filepath.Join(dir, "vault.sock")))
	s.startAnywhere(func(listener, _ string) []string {
		return []string{"server", "-dev", "-dev-no-store-token", "-dev-root-token-id=" + token, "-dev-listen-address=" + listener, "-config=" + more}
	})
	s.awaitHealth(http.StatusOK)
	return s
}

// DevTLS starts a server like Dev, with https.
func DevTLS(t testing.TB) *Server {
	t.Helper()
	const token = "root"
	s := &Server{t: t, binary: Binary(t), home: t.TempDir(), setup: &sync.Mutex{}, RootToken: token}
	s.CAFile = filepath.Join(s.home, "vault-ca.pem") // the name that Vault gives it
	s.startAnywhere(func(listener, _ string) []string {
		return []string{
			"server", "-dev-tls", "-dev-tls-cert-dir=" + s.home, "-dev-no-store-token", "-dev-root-token-id=" + token, "-dev-listen-address=" + listener,
		}
	})
	s.awaitHealth(http.StatusOK)
	return s
}

// Durable starts a server with integrated storage on disk (the minimal build
// has no file storage), which can be sealed, killed and restarted with its
// data. It takes some 2 s.
func Durable(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, binary: Binary(t), home: t.TempDir(), setup: &sync.Mutex{}}
	s.startAnywhere(s.configure)
	s.awaitHealth(http.StatusNotImplemented) // not initialized

	client := s.clientFor("")
	answer, err := client.Sys().InitWithContext(t.Context(), &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		t.Fatalf("initializing Vault: %v", err)
	}
	s.RootToken, s.unsealKey = answer.RootToken, answer.Keys[0]
	s.Unseal()
	s.Enable("secret", 2)
	return s
}

// configure writes the configuration of a durable server.
func (s *Server) configure(listener, cluster string) []string {
	data := filepath.Join(s.home, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.home, "vault.hcl")
	text := fmt.Sprintf(`
disable_mlock = true
api_addr      = "http://%[1]s"
cluster_addr  = "https://%[2]s"
storage "raft" {
  path                   = %[3]q
  node_id                = "test"
  performance_multiplier = 1
}
listener "tcp" {
  address         = "%[1]s"
  cluster_address = "%[2]s"
  tls_disable     = true
}
`, listener, cluster, data)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return []string{"server", "-config=" + file}
}

// startAnywhere starts the server on free ports. Somebody else may take one
// between asking for it and using it, so it tries a few.
func (s *Server) startAnywhere(arguments func(listener, cluster string) []string) {
	s.t.Helper()
	for attempt := range 5 {
		listener, cluster := freePorts(s.t)
		s.Address, s.arguments = s.scheme()+"://"+listener, arguments(listener, cluster)
		s.start()
		if s.answers() {
			return
		}
		s.t.Logf("starting Vault, attempt %d: %s", attempt+1, s.process.tail())
		s.process.kill()
	}
	s.t.Fatal("Vault does not start")
}

func (s *Server) scheme() string {
	if s.CAFile != "" {
		return "https"
	}
	return "http"
}

// transport returns a new one that trusts the server, as soon as it has written
// its certificate, and uses no proxy.
func (s *Server) transport() *http.Transport {
	trusted := x509.NewCertPool()
	if text, err := os.ReadFile(s.CAFile); err == nil {
		trusted.AppendCertsFromPEM(text)
	}
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}
}

func freePorts(t testing.TB) (listener, cluster string) {
	t.Helper()
	var addresses [2]string
	for i := range addresses {
		l, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }() // both at the end, so that they differ
		addresses[i] = l.Addr().String()
	}
	return addresses[0], addresses[1]
}

func (s *Server) start() {
	s.t.Helper()
	s.process = s.run(s.arguments)
}

// run starts the binary; it ends with the test.
func (s *Server) run(arguments []string) *process {
	s.t.Helper()
	p := &process{done: make(chan struct{})}
	p.command = exec.CommandContext(context.WithoutCancel(s.t.Context()), s.binary, arguments...) //nolint:gosec // what it is for
	p.command.Env = []string{"HOME=" + s.home, "PATH=" + os.Getenv("PATH")}
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	p.command.SysProcAttr = dieWithParent()
	if err := p.command.Start(); err != nil {
		s.t.Fatalf("starting Vault: %v", err)
	}
	go func() {
		defer close(p.done)
		_ = p.command.Wait() // it ends when it is killed
	}()
	s.t.Cleanup(p.kill)
	return p
}

// answers waits until the server answers, which it never does if its process
// ends.
func (s *Server) answers() bool {
	ctx, cancel := s.patience()
	defer cancel()
	for ctx.Err() == nil && !s.process.ended() {
		if s.health() != 0 {
			return !s.process.ended() // else somebody else answers on this port
		}
		time.Sleep(pollEvery)
	}
	return false
}

func (s *Server) patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(s.t.Context()), startWithin)
}

// health returns the status of sys/health, 0 without an answer.
func (s *Server) health() int {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Address+"/v1/sys/health", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.transport().RoundTrip(request)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close() // not read
	return answer.StatusCode
}

func (s *Server) awaitHealth(status int) {
	s.t.Helper()
	s.await(fmt.Sprintf("health %d", status), func() error {
		if got := s.health(); got != status {
			return fmt.Errorf("health is %d: %s", got, s.process.tail())
		}
		return nil
	})
}

// await polls until check returns nil.
func (s *Server) await(what string, check func() error) {
	s.t.Helper()
	ctx, cancel := s.patience()
	defer cancel()
	err := check()
	for ; err != nil && ctx.Err() == nil; err = check() {
		time.Sleep(pollEvery)
	}
	if err != nil {
		s.t.Fatalf("waiting for Vault (%s): %v", what, err)
	}
}

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() { s.process.kill() }

// Restart starts a killed durable server on the same port with the same data,
// and leaves it sealed. A server in dev mode would come back empty.
func (s *Server) Restart() {
	s.t.Helper()
	if s.unsealKey == "" {
		s.t.Fatal("a Vault in dev mode has no data to restart with")
	}
	s.start()
	s.awaitHealth(http.StatusServiceUnavailable)
}

// Seal seals the server.
func (s *Server) Seal() {
	s.t.Helper()
	if err := s.Client().Sys().SealWithContext(s.t.Context()); err != nil {
		s.t.Fatalf("sealing Vault: %v", err)
	}
	s.awaitHealth(http.StatusServiceUnavailable)
}

// Unseal unseals a durable server.
func (s *Server) Unseal() {
	s.t.Helper()
	if _, err := s.clientFor("").Sys().UnsealWithContext(s.t.Context(), s.unsealKey); err != nil {
		s.t.Fatalf("unsealing Vault: %v", err)
	}
	s.awaitHealth(http.StatusOK)
}

// process is one run of the server.
type process struct {
	command *exec.Cmd
	output  lockedBuffer
	done    chan struct{} // closed when it has ended
	once    sync.Once
}

func (p *process) kill() {
	p.once.Do(func() {
		if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			panic(err) // only if the operating system refuses
		}
		<-p.done
	})
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// tail returns the end of what the server has printed.
func (p *process) tail() string { return p.output.tail() }

type lockedBuffer struct {
	mu  sync.Mutex // guards all
	all bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(data)
}

func (b *lockedBuffer) tail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	const enough = 2000
	return string(b.all.Bytes()[max(0, b.all.Len()-enough):])
}
