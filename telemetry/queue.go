package telemetry

import (
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// severity is a level of slog's, or the one below it.
type severity uint8

const (
	debug severity = iota
	info
	warning
	failure
	severities
)

func severityOf(level slog.Level) severity {
	switch {
	case level < slog.LevelInfo:
		return debug
	case level < slog.LevelWarn:
		return info
	case level < slog.LevelError:
		return warning
	}
	return failure
}

// name is the severity's in metrics and lines.
func (s severity) name() string {
	return [severities]string{debug: "debug", info: "info", warning: "warn", failure: "error"}[s]
}

// share is how much of the queue lines of a severity may fill, in percent. What
// is left is for the more severe ones.
func (s severity) share() int {
	return [severities]int{debug: 50, info: 70, warning: 85, failure: 100}[s]
}

// line is what is known of a line in a batch's text.
type line struct {
	size     int
	severity severity
}

// batch is lines one after the other, each ending with a newline.
type batch struct {
	text  []byte
	lines []line
}

// next splits off as many lines as one write may take: at least one, and not more
// than a pipe takes at once (PIPE_BUF), so that nobody else who writes to the
// same pipe comes in between.
func (b *batch) next() batch {
	size, count := 0, 0
	for count < len(b.lines) && (count == 0 || size+b.lines[count].size <= pipeBuffer) {
		size += b.lines[count].size
		count++
	}
	out := batch{b.text[:size], b.lines[:count]}
	b.text, b.lines = b.text[size:], b.lines[count:]
	return out
}

const pipeBuffer = 4096

// maxKept bounds the memory that an empty queue keeps for the next lines.
const maxKept = 64 << 10

// counts are numbers of lines by severity.
type counts [severities]uint64

// queue holds lines until they are written. Its zero bounds let nothing in.
type queue struct {
	maxBytes, maxLines int
	ready              chan struct{} // has room for one: there are lines
	dropped            [severities]prometheus.Counter

	mu           sync.Mutex // guards what follows
	waiting      batch
	bytes, lines int    // of what waits, and of what is being written
	lost         counts // dropped, and not yet reported
	closed       bool
}

// put copies a line into the queue, or drops it where there is no room for its
// severity.
func (q *queue) put(s severity, text []byte) {
	q.mu.Lock()
	fits := !q.closed && q.bytes+len(text) <= q.maxBytes*s.share()/100 && q.lines < q.maxLines*s.share()/100
	if fits {
		q.addLocked(s, text)
	} else {
		q.lost[s]++
	}
	q.mu.Unlock()
	if !fits {
		q.dropped[s].Inc()
		return
	}
	q.wake()
}

// putAnyway is put without bounds, for what the log has to say of itself.
func (q *queue) putAnyway(s severity, text []byte) {
	q.mu.Lock()
	q.addLocked(s, text)
	q.mu.Unlock()
	q.wake()
}

func (q *queue) addLocked(s severity, text []byte) {
	q.waiting.text = append(q.waiting.text, text...)
	q.waiting.lines = append(q.waiting.lines, line{len(text), s})
	q.bytes += len(text)
	q.lines++
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take returns the lines that wait. memory is a batch that was written, whose
// memory the next lines may have.
func (q *queue) take(memory batch) batch {
	if cap(memory.text) > maxKept {
		memory = batch{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.waiting
	q.waiting = batch{memory.text[:0], memory.lines[:0]}
	return out
}

// done makes room for as much as was written, or could not be: the lines from
// failed on are lost.
func (q *queue) done(written batch, failed int) {
	q.mu.Lock()
	q.bytes -= len(written.text)
	q.lines -= len(written.lines)
	for _, l := range written.lines[failed:] {
		q.lost[l.severity]++
	}
	q.mu.Unlock()
	for _, l := range written.lines[failed:] {
		q.dropped[l.severity].Inc()
	}
}

// takeLost returns how many lines were lost since the last call.
func (q *queue) takeLost() counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost := q.lost
	q.lost = counts{}
	return lost
}

// close lets nothing in any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// length returns how many lines wait or are being written.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines
}
