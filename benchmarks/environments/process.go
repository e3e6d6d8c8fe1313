package environments

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/playgate/playgate/benchmarks/world"
)

// process is the gateway's binary on a fixture.
type process struct {
	fixture *fixture
	cmd     *exec.Cmd
	started time.Time
	exited  chan error
}

const poll = 50 * time.Millisecond

func start(f *fixture, binary string) (*process, error) {
	log, err := os.Create(f.path("gateway.log"))
	if err != nil {
		return nil, fmt.Errorf("opening the gateway's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the child has its own copy
	p := &process{fixture: f, exited: make(chan error, 1)}
	// Not CommandContext: an interrupted run stops it in order, through kill.
	p.cmd = exec.Command(binary, "serve", "--config", f.path("playgate.yaml")) //nolint:gosec,noctx // our own build
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the gateway: %w", err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	return p, nil
}

// await asks until done is satisfied, and returns how long that took since begun.
func (p *process) await(ctx context.Context, begun time.Time, done func() (bool, error)) (time.Duration, error) {
	for {
		ok, err := done()
		if ok || err != nil {
			return time.Since(begun), err
		}
		select {
		case err := <-p.exited:
			p.exited <- err
			return 0, fmt.Errorf("the gateway ended by itself: %w: %s", err, p.tail())
		case <-ctx.Done():
			return time.Since(begun), fmt.Errorf("waiting for the gateway: %w", ctx.Err())
		case <-time.After(poll):
		}
	}
}

func (p *process) tail() string {
	text, err := os.ReadFile(p.fixture.path("gateway.log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// ready asks /readyz. complete: every environment can sign.
func (p *process) ready(ctx context.Context) (ready, complete bool) {
	status, body, err := world.Get(ctx, "http://"+p.fixture.admin+"/readyz")
	if err != nil || status != http.StatusOK {
		return false, false
	}
	return true, !bytes.Contains(body, []byte("no active signing key")) && !bytes.Contains(body, []byte("not read yet"))
}

// published returns the number of keys in an environment's key set.
func (p *process) published(ctx context.Context, environment string) (int, error) {
	_, body, err := world.Get(ctx, "http://"+p.fixture.listen+"/v1/environments/"+environment+"/jwks.json")
	if err != nil {
		return 0, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return 0, fmt.Errorf("reading a key set: %w", err)
	}
	return len(set.Keys), nil
}

// logged returns when a message was logged first, not before a time.
func (p *process) logged(message string, since time.Time) (at time.Time, found bool, err error) {
	text, err := os.ReadFile(p.fixture.path("gateway.log"))
	if err != nil {
		return at, false, fmt.Errorf("reading the gateway's log: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(message)) {
			continue
		}
		var line struct {
			Time time.Time `json:"time"`
			Msg  string    `json:"msg"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == message && !line.Time.Before(since) {
			return line.Time, true, nil
		}
	}
	return at, false, lines.Err()
}

// memory returns resident memory now and at its highest, in bytes.
func (p *process) memory() (now, highest int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*int64{"VmRSS": &now, "VmHWM": &highest}[name]
		if into == nil {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading the memory: %w", err)
		}
		*into = kilobytes << 10
	}
	return now, highest, nil
}

// stop ends the process as an operator would, and returns how long that took.
func (p *process) stop() (time.Duration, error) {
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("stopping the gateway: %w", err)
	}
	select {
	case err := <-p.exited:
		p.exited <- err
		return time.Since(begun), err
	case <-time.After(2 * time.Minute):
		return time.Since(begun), errors.New("the gateway does not stop")
	}
}

// kill makes sure that the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	p.exited <- <-p.exited
}
