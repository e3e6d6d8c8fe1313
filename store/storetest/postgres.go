package storetest

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Postgres is a PostgreSQL of the test's own, listening on loopback. It ends
// with the test.
type Postgres struct {
	dir, bin string
	port     int
	as       *syscall.SysProcAttr
	server   *exec.Cmd
}

// DSN returns the URL of the database.
func (p *Postgres) DSN() string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("playgate", "secret"),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)), Path: "/postgres",
	}
	return u.String()
}

// Database makes an empty database, and returns its URL.
func (p *Postgres) Database(t testing.TB, name string) string {
	t.Helper()
	p.Run(t, "CREATE DATABASE "+name+" TEMPLATE template0")
	return strings.TrimSuffix(p.DSN(), "/postgres") + "/" + name
}

// Backup makes a database that is a copy of another one as it is now, which may be
// in use, and returns its URL.
func (p *Postgres) Backup(t testing.TB, of, name string) string {
	t.Helper()
	to := p.Database(t, name)
	file := filepath.Join(p.dir, name+".sql")
	for _, c := range []*exec.Cmd{p.command("pg_dump", "-f", file, of), p.command("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file, to)} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
	}
	return to
}

// Run runs statements in the database postgres, as its owner.
func (p *Postgres) Run(t testing.TB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		psql := p.command("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", p.DSN(), "-c", statement)
		if out, err := psql.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", statement, err, out)
		}
	}
}

// StartPostgres starts one, from the programs that Debian's package postgresql
// brings. Where they are missing the test skips, or fails if CI is true.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	bin, ok := postgresPrograms()
	if !ok {
		if os.Getenv("CI") == "true" {
			t.Fatal("PostgreSQL is missing; tools/setup.sh installs it")
		}
		t.Skip("PostgreSQL is missing; tools/setup.sh installs it")
	}
	p := &Postgres{bin: bin}
	// Not t.TempDir: its parents are the test user's alone, and a server that
	// root may not run as must get there.
	dir, err := os.MkdirTemp("", "playgate-pg-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p.dir = dir
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		p.dropRoot(t)
	}
	initdb := p.command("initdb", "-D", filepath.Join(dir, "data"), "-U", "playgate", "--auth=scram-sha-256",
		"--pwfile="+filepath.Join(dir, "password"), "--encoding=UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p.port = freePort(t)
	t.Cleanup(p.Stop)
	p.Start(t)
	return p
}

// postgresPrograms finds the newest version; Debian does not put the server's
// programs into PATH.
func postgresPrograms() (string, bool) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(target), true
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is fine
	if len(found) == 0 {
		return "", false
	}
	return filepath.Dir(slices.Max(found)), true
}

// dropRoot makes the server run as somebody else: PostgreSQL refuses root.
func (p *Postgres) dropRoot(t testing.TB) {
	t.Helper()
	var who *user.User
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			who = u
			break
		}
	}
	if who == nil {
		t.Fatal("there is no user to run PostgreSQL as")
	}
	uid, errU := strconv.ParseUint(who.Uid, 10, 32)
	gid, errG := strconv.ParseUint(who.Gid, 10, 32)
	if err := errors.Join(errU, errG, os.Chown(p.dir, int(uid), int(gid)), os.Chown(filepath.Join(p.dir, "password"), int(uid), int(gid))); err != nil {
		t.Fatal(err)
	}
	p.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(p.bin, name), args...) //nolint:noctx,gosec // Stop ends it; the path is that of an installed PostgreSQL
	c.Dir, c.SysProcAttr, c.Env = p.dir, p.as, []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	return c
}

func freePort(t testing.TB) int {
	t.Helper()
	var bind net.ListenConfig
	l, err := bind.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// Start starts the server, also again after Stop or Kill, and waits until it
// answers.
func (p *Postgres) Start(t testing.TB) {
	t.Helper()
	var log bytes.Buffer
	p.server = p.command("postgres", "-D", "data", "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-k", p.dir, "-c", "fsync=off", "-c", "max_connections=200")
	p.server.Stdout, p.server.Stderr = &log, &log
	if err := p.server.Start(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if p.command("pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(p.port)).Run() == nil {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	p.Kill()
	t.Fatalf("PostgreSQL did not start:\n%s", log.String())
}

// Stop ends the server and its connections ("fast" shutdown).
func (p *Postgres) Stop() { p.end(syscall.SIGINT) }

// Kill ends the server as a crash would ("immediate" shutdown).
func (p *Postgres) Kill() { p.end(syscall.SIGQUIT) }

func (p *Postgres) end(signal os.Signal) {
	if p.server == nil {
		return
	}
	if err := p.server.Process.Signal(signal); err == nil {
		_ = p.server.Wait() // how it ended is what was asked for
	}
	p.server = nil
}
