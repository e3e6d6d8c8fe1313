package peers

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is the folder of the benchmarks module, which holds the peers' sources.
func module(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the peers' sources (run this from the checkout's benchmarks folder): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// look finds a program, also where Debian keeps daemons.
func look(name string) (string, error) {
	for _, file := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(file); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrMissing)
}

// node runs a script of node/ in a cluster.
func (p *program) node(ctx context.Context, script string) error {
	node, err := look("node")
	if err != nil {
		return err
	}
	root, err := module(ctx)
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "peers", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		return fmt.Errorf("the packages in benchmarks/peers/node: %w", ErrMissing)
	}
	p.args = []string{node, filepath.Join(dir, "cluster.mjs"), filepath.Join(dir, script)}
	return nil
}

// build compiles one of the module's programs and runs it with args.
func (p *program) build(ctx context.Context, dir, pkg string, args ...string) error {
	root, err := module(ctx)
	if err != nil {
		return err
	}
	binary := filepath.Join(dir, "peer")
	if out, err := exec.CommandContext(ctx, "go", "build", "-C", root, "-trimpath", "-o", binary, pkg).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return fmt.Errorf("building %s: %w: %s", pkg, err, out)
	}
	p.args = append([]string{binary}, args...)
	return nil
}

func (p *program) fiber(ctx context.Context, dir string, c Config) error {
	answer, err := json.Marshal(c.Answer)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	file := filepath.Join(dir, "answer.json")
	if err := os.WriteFile(file, answer, 0o600); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return p.build(ctx, dir, "./peers/fiber", "-listen", fmt.Sprintf("127.0.0.1:%d", p.port), "-path", p.ready, "-answer", file)
}

// nginxConf is what made nginx fastest here: a file of some hundred bytes costs
// less without sendfile, and each worker has its own queue of connections.
const nginxConf = `
%[1]s
worker_processes auto;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile off;
  keepalive_requests 100000000;
  open_file_cache max=16;
  default_type application/json;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server {
    listen 127.0.0.1:%[2]d reuseport;
    root files;
    add_header Cache-Control "private, no-store";
    add_header X-Request-Id $request_id;
  }
}
`

func (p *program) nginx(dir string, c Config) error {
	nginx, err := look("nginx")
	if err != nil {
		return err
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // the run's folder is closed to others
	}
	file := filepath.Join(dir, "files", filepath.FromSlash(p.ready))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("making nginx's folders: %w", err)
	}
	if err := os.WriteFile(file, c.Answer.Body, 0o600); err != nil {
		return fmt.Errorf("writing nginx's file: %w", err)
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, user, p.port), 0o600); err != nil {
		return fmt.Errorf("writing nginx's configuration: %w", err)
	}
	p.args = []string{nginx, "-p", dir, "-c", conf, "-e", "stderr", "-g", "daemon off;"}
	return nil
}

// haproxyConf checks what HAProxy can check of a viewer token: algorithm,
// issuer, audience, expiry and signature, in that order. jwt_verify's result is
// compared with 1: its errors are negative and would count as true.
const haproxyConf = `
global
  maxconn 1024
defaults
  mode http
  timeout client 30s
  timeout connect 5s
  timeout server 30s
frontend viewers
  bind 127.0.0.1:%[1]d
  http-request set-var(txn.jwt) http_auth_bearer
  http-request set-var(txn.alg) var(txn.jwt),jwt_header_query('$.alg')
  http-request set-var(txn.exp) var(txn.jwt),jwt_payload_query('$.exp','int')
  http-request set-var(txn.left) date,neg,add(txn.exp)
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.jwt),jwt_payload_query('$.iss') -m str %[2]s }
  http-request deny deny_status 401 unless { var(txn.jwt),jwt_payload_query('$.aud') -m str %[3]s }
  http-request deny deny_status 401 unless { var(txn.left) -m int gt 0 }
  http-request deny deny_status 401 unless { var(txn.jwt),jwt_verify(txn.alg,"%[4]s") -m int 1 }
  http-request return status 200 content-type application/json file %[5]s hdr Cache-Control "private, no-store" hdr X-Request-Id "%%[uuid()]"
`

func (p *program) haproxy(dir string, c Config) error {
	haproxy, err := look("haproxy")
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(c.Viewers.Key)
	if err != nil {
		return fmt.Errorf("encoding the identity provider's key: %w", err)
	}
	key, body, conf := filepath.Join(dir, "idp.pem"), filepath.Join(dir, "answer.json"), filepath.Join(dir, "haproxy.cfg")
	for name, content := range map[string][]byte{
		key:  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		body: c.Answer.Body,
		conf: fmt.Appendf(nil, haproxyConf, p.port, c.Viewers.Issuer, c.Viewers.Audience, key, body),
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return fmt.Errorf("writing HAProxy's files: %w", err)
		}
	}
	p.args = []string{haproxy, "-db", "-f", conf}
	return nil
}
