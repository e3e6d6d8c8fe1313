package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// attack is what strangers send, each on a connection of its own, until it is over.
// They are a process of their own: in this one, good requests would wait for them
// before they are sent, and that would be measured.
type attack struct {
	Target string        // host and port
	Count  int           // strangers, sixteen from an address
	Pause  time.Duration // of each, between two connections
	Text   string        // what each sends, before it waits for an answer

	t    testing.TB
	stop io.Closer
	said io.Reader
}

// outcome is what came of an attack.
type outcome struct {
	Opened   int            // connections
	Answered map[string]int // by status
}

// strangersEnv is set for the process of the strangers.
const strangersEnv = "PLAYGATE_TEST_STRANGERS"

// attack lets so many strangers open connections and send the text on each. Each
// waits for an answer or the end of the connection, and then for the pause, before
// it opens the next.
func (g *gateway) attack(count int, pause time.Duration, text string) *attack {
	g.t.Helper()
	a := &attack{Target: strings.TrimPrefix(g.url, "http://"), Count: count, Pause: pause, Text: text, t: g.t}
	process := exec.Command(os.Args[0])
	process.Env, process.Stderr = append(os.Environ(), strangersEnv+"=yes"), os.Stderr
	orders, err := process.StdinPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	said, err := process.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = process.Process.Kill() // it has ended already, unless the test failed
		_ = process.Wait()
	})
	a.stop, a.said = orders, said
	if err := json.NewEncoder(orders).Encode(a); err != nil {
		g.t.Fatal(err)
	}
	return a
}

// end ends the attack, and returns what came of it when nobody sends any more.
func (a *attack) end() outcome {
	a.t.Helper()
	var o outcome
	if err := a.stop.Close(); err != nil {
		a.t.Fatal(err)
	}
	if err := json.NewDecoder(a.said).Decode(&o); err != nil {
		a.t.Fatalf("the strangers did not say what came of their attack: %v", err)
	}
	return o
}

// strangers is the process of the strangers. It reads an attack, makes it until its
// input ends, and writes the outcome.
func strangers(in io.Reader, out io.Writer) error {
	var a attack
	orders := json.NewDecoder(in)
	if err := orders.Decode(&a); err != nil {
		return fmt.Errorf("reading the attack: %w", err)
	}
	s := &senders{attack: &a, text: []byte(a.Text), over: make(chan struct{}), dialing: make(chan struct{}, 64)}
	for n := range a.Count {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>4>>8), byte(n>>4))}, Timeout: 10 * time.Second}
		s.sending.Go(func() { s.keepSending(&dialer) })
	}
	_, _ = io.Copy(io.Discard, in) // until it ends
	close(s.over)
	s.sending.Wait()
	return json.NewEncoder(out).Encode(s.outcome)
}

// senders are the strangers while they send.
type senders struct {
	*attack

	text    []byte
	over    chan struct{}
	dialing chan struct{} // a place for each that is connecting: the kernel's queue is not what is attacked
	sending sync.WaitGroup

	mu sync.Mutex // guards what follows
	outcome
}

func (s *senders) keepSending(dialer *net.Dialer) {
	for {
		s.send(dialer)
		select {
		case <-s.over:
			return
		case <-time.After(s.Pause):
		}
	}
}

func (s *senders) send(dialer *net.Dialer) {
	s.dialing <- struct{}{}
	c, err := dialer.Dial("tcp", s.Target)
	<-s.dialing
	if err != nil {
		return // refused connections are as good
	}
	defer c.Close()
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		select {
		case <-s.over:
			_ = c.SetDeadline(time.Unix(1, 0))
		case <-gone:
		}
	}()
	s.note("")
	_, _ = c.Write(s.text)
	var line [12]byte // "HTTP/1.1 503"
	if _, err := io.ReadFull(c, line[:]); err == nil {
		s.note(string(line[9:]))
	}
}

// note counts an answer, or with "" a connection.
func (s *senders) note(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status == "" {
		s.Opened++
		return
	}
	if s.Answered == nil {
		s.Answered = make(map[string]int)
	}
	s.Answered[status]++
}
