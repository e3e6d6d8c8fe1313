package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrMissing is wrapped when a program or its packages are not installed;
// tools/setup.sh installs them.
var ErrMissing = errors.New("not installed")

// patience bounds how long a peer may take to answer first, and to stop.
const patience = 15 * time.Second

// program is how a peer is run.
type program struct {
	port  int
	ready string // the path that answers once the peer is ready
	args  []string
	env   []string // beyond PATH and HOME
}

// Server is a running peer.
type Server struct {
	Name Name
	URL  string // http://127.0.0.1:…
	PID  int    // of the first process; clusters have children

	cmd    *exec.Cmd
	log    string
	exited chan error
}

// start runs the program until it answers with any status.
func (p *program) start(ctx context.Context, dir string) (*Server, error) {
	s := &Server{URL: "http://127.0.0.1:" + strconv.Itoa(p.port), log: filepath.Join(dir, "log"), exited: make(chan error, 1)}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the child has its own copy
	// Not CommandContext: an interrupted run stops it in order, through Stop.
	s.cmd = exec.Command(p.args[0], p.args[1:]...) //nolint:gosec,noctx // our own programs
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, p.env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.PID = s.cmd.Process.Pid
	go func() { s.exited <- s.cmd.Wait() }()
	if err := s.await(ctx, p.ready); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) await(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if _, err := get(ctx, s.URL+path, ""); err == nil {
			return nil
		}
		select {
		case err := <-s.exited:
			s.exited <- err
			return errors.New("it ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the peer and waits for it. The error holds the end of its log.
func (s *Server) Stop() error {
	select {
	case err := <-s.exited:
		return fmt.Errorf("%s ended by itself (%w): %s", s.Name, errors.Join(err, errors.New("unasked")), s.tail())
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping %s: %w", s.Name, err)
	}
	select {
	case err := <-s.exited:
		var exit *exec.ExitError
		if err == nil || errors.As(err, &exit) && signalled(exit) {
			return nil
		}
		return fmt.Errorf("%s ended: %w: %s", s.Name, err, s.tail())
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s does not stop", s.Name), s.cmd.Process.Kill(), <-s.exited)
	}
}

// signalled reports whether SIGTERM itself ended a process, as it does one that
// does not handle it; HAProxy says so by its status.
func signalled(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && (status.Signaled() && status.Signal() == syscall.SIGTERM || status.ExitStatus() == 128+int(syscall.SIGTERM))
}

func (s *Server) tail() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

func freePort(ctx context.Context) (int, error) {
	var bind net.ListenConfig
	l, err := bind.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close() //nolint:errcheck // only its number was wanted
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("finding a free port: %s is no TCP address", l.Addr())
	}
	return address.Port, nil
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func get(ctx context.Context, url, bearer string) (*response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	// A connection of its own: none may stay open and keep the peer from stopping.
	req.Close = true
	client := http.Client{Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", url, err)
	}
	return &response{res.StatusCode, res.Header, body}, nil
}
