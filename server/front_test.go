package server_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// front is a proxy in front of the server. It marks each request that it forwards
// with what it has read, and each answer with the request that it answers.
type front struct {
	name    string
	program string
	// files are what it is started with, by name. DIR is its folder, LISTEN and PORT
	// are where it listens, SERVER is the server's address, MARK the mark.
	files map[string]string
	args  []string
}

// The fields of the marks. They replace whatever a client sends under these names.
const (
	markField   = "X-Front-Mark"   // a secret of the test: the proxy has written this head
	idField     = "X-Front-Id"     // of the request
	methodField = "X-Front-Method" // as the proxy has read it
	targetField = "X-Front-Target" // the same
	answerField = "X-Front-Answer" // in an answer: the ID of the request that it answers
	echoField   = "X-Echo-Id"      // in an answer: the ID that the server has read
	frontWait   = "300ms"          // for what a client leaves unfinished
	otherMethod = "_OTHER"         // what the server calls a method that it does not know
)

// fronts are set to let pass what they can.
func fronts() []front {
	return []front{
		{"nginx", "nginx", map[string]string{"nginx.conf": `
daemon off;
master_process off;
pid DIR/pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  client_header_timeout ` + frontWait + `; client_body_timeout ` + frontWait + `; keepalive_timeout ` + frontWait + `;
  underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
  upstream server { server SERVER; keepalive 4; }
  server {
    listen LISTEN;
    location / {
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_ignore_client_abort on;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header ` + markField + ` MARK;
      proxy_set_header ` + idField + ` $request_id;
      proxy_set_header ` + methodField + ` $request_method;
      proxy_set_header ` + targetField + ` $request_uri;
      add_header ` + answerField + ` $request_id always;
    }
  }
}
`}, []string{"-e", "stderr", "-c", "DIR/nginx.conf", "-p", "DIR"}},
		{"HAProxy", "haproxy", map[string]string{"haproxy.cfg": `
defaults
  mode http
  option accept-invalid-http-request
  option http-keep-alive
  timeout connect 5s
  timeout server 5s
  timeout client ` + frontWait + `
  timeout http-request ` + frontWait + `
  timeout http-keep-alive ` + frontWait + `
frontend front
  bind LISTEN
  http-request set-var(txn.id) uuid()
  http-request set-header ` + markField + ` MARK
  http-request set-header ` + idField + ` %[var(txn.id)]
  http-request set-header ` + methodField + ` %[method]
  http-request set-header ` + targetField + ` %[url]
  http-response set-header ` + answerField + ` %[var(txn.id)]
  default_backend server
backend server
  http-reuse always
  server server SERVER
`}, []string{"-db", "-f", "DIR/haproxy.cfg"}},
		{"Caddy", "caddy", map[string]string{"Caddyfile": `
{
  admin off
  auto_https off
  servers {
    timeouts {
      read_header ` + frontWait + `
      read_body ` + frontWait + `
      idle ` + frontWait + `
    }
  }
}
http://:PORT {
  bind 127.0.0.1
  reverse_proxy SERVER {
    header_up ` + markField + ` MARK
    header_up ` + idField + ` {http.request.uuid}
    header_up ` + methodField + ` {http.request.method}
    header_up ` + targetField + ` {http.request.uri}
    header_down ` + answerField + ` {http.request.uuid}
  }
}
`}, []string{"run", "--config", "DIR/Caddyfile", "--adapter", "caddyfile"}},
	}
}

// start runs the proxy before a server, and returns where it listens.
func (f *front) start(t testing.TB, backend, mark string) (address string) {
	t.Helper()
	program := lookUp(t, f.program)
	for range 5 { // somebody else may take the port first
		dir := t.TempDir()
		address = freeAddress(t)
		_, port, _ := net.SplitHostPort(address)
		fill := strings.NewReplacer("DIR", dir, "LISTEN", address, "PORT", port, "SERVER", backend, "MARK", mark).Replace
		for name, content := range f.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(fill(content)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args := make([]string, len(f.args))
		for i, arg := range f.args {
			args[i] = fill(arg)
		}
		p := &proxy{ended: make(chan struct{})}
		p.cmd = exec.Command(program, args...)
		p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(p.ended)
			_ = p.cmd.Wait() // it is killed
		}()
		t.Cleanup(p.kill)
		if p.listens(address) {
			return address
		}
		p.kill()
		t.Logf("starting %s: %s", f.name, p.output.String())
	}
	t.Fatalf("%s does not start", f.name)
	return ""
}

// lookUp returns where a proxy's program is. Daemons are in sbin.
func lookUp(t testing.TB, program string) string {
	t.Helper()
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing; `make setup` installs it", program)
	}
	t.Skipf("NOT TESTED: %s is missing; `make setup` installs it", program)
	return ""
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// proxy is a running front.
type proxy struct {
	cmd    *exec.Cmd
	output lockedBuffer
	ended  chan struct{}
}

func (p *proxy) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// listens waits until the proxy accepts connections; false: it has ended.
func (p *proxy) listens(address string) bool {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return true
		}
		select {
		case <-p.ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return false
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// witness notes the requests that the server reads behind a front, and answers each
// with the ID that it carries and its body.
type witness struct {
	mark string

	mu     sync.Mutex
	seen   map[string]bool // by ID
	faults []string
}

func (r *witness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	id := req.Header[idField]
	w.Header()[echoField] = id
	body := new(bytes.Buffer)
	_, _ = body.ReadFrom(req.Body) // it is in memory
	_, _ = w.Write(body.Bytes())
	r.mu.Lock()
	defer r.mu.Unlock()
	fault := func(format string, args ...any) {
		r.faults = append(r.faults, fmt.Sprintf(format, args...)+fmt.Sprintf(": %s %q %v %q", req.Method, req.RequestURI, req.Header, body))
	}
	one := func(name string) string {
		if values := req.Header[name]; len(values) == 1 {
			return values[0]
		}
		fault("there is not one %s", name)
		return ""
	}
	switch {
	case one(markField) != r.mark:
		fault("the proxy has not written the head of this request")
	case r.seen[one(idField)]:
		fault("the proxy has sent this once")
	case one(methodField) != req.Method && req.Method != otherMethod:
		fault("the proxy has read another method")
	case !sameTarget(one(targetField), req.RequestURI):
		fault("the proxy has read another target")
	default:
		r.seen[strings.Clone(one(idField))] = true // what the adaptor gives is reused
	}
}

// sameTarget compares the target that a proxy has read with that which it has sent:
// nginx adds the path to a URL that has none.
func sameTarget(read, sent string) bool {
	return read == sent || strings.HasPrefix(read, "?") && "/"+read == sent
}

// take returns what was wrong with the requests since the last time.
func (r *witness) take() (faults []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	faults, r.faults = r.faults, nil
	return faults
}
