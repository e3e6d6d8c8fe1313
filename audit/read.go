package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

const (
	maxLine   = 1 << 20 // bytes
	pollEvery = 200 * time.Millisecond
)

// Filter says which records are wanted; what is zero does not matter.
type Filter struct {
	Environment playback.EnvironmentID
	Decision    string // allow or deny
	Rule        string
	Reason      playback.Code
	PlaybackID  playback.ID
	AssetID     playback.AssetID
	Type        string
	Viewer      string // a pseudonym
	Country     string
	Revision    string // or its beginning
	RequestID   string
	Since       time.Time
	Until       time.Time
	Text        string // anywhere in the line
}

// Matches reports whether a record, with its line, is wanted.
func (f *Filter) Matches(r *Record, line []byte) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	return same(string(f.Environment), string(r.Environment)) && same(f.Decision, r.Decision) && same(f.Rule, r.Rule) &&
		same(string(f.Reason), string(r.Reason)) && same(string(f.PlaybackID), string(r.PlaybackID)) &&
		same(string(f.AssetID), string(r.AssetID)) && same(f.Type, r.Type) && same(f.Viewer, r.Viewer) &&
		same(f.Country, r.Country) && same(f.RequestID, r.RequestID) && strings.HasPrefix(r.Revision, f.Revision) &&
		(f.Since.IsZero() || !r.Time.Before(f.Since)) && (f.Until.IsZero() || r.Time.Before(f.Until)) &&
		(f.Text == "" || bytes.Contains(line, []byte(f.Text)))
}

// Read calls visit for every record of a log that the filter lets pass, in the
// order of the log. It leaves out lines that are no records, such as what a disk
// that was full left of one, and returns how many; a line without its end is
// being written. It stops at visit's first error, and names the line. A text of
// which no line is a record is an error, too.
func Read(log io.Reader, f Filter, visit func(r *Record, line []byte) error) (bad int, err error) {
	good, bad, err := read(log, &f, visit)
	if err == nil && bad > 0 && good == 0 {
		err = errors.New("no line of it is a record of the decision log")
	}
	return bad, err
}

func read(log io.Reader, f *Filter, visit func(r *Record, line []byte) error) (good, bad int, err error) {
	lines := bufio.NewReaderSize(log, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if err == nil {
			err = visitLine(line, f, visit)
		}
		switch {
		case err == nil && len(bytes.TrimSpace(line)) > 0:
			good++
		case err == nil:
		case errors.Is(err, io.EOF):
			return good, bad, nil
		case errors.Is(err, errNoRecord):
			bad++
		default:
			return good, bad, fmt.Errorf("line %d: %w", n, err)
		}
	}
}

var errNoRecord = errors.New("is no record of the decision log")

func visitLine(line []byte, f *Filter, visit func(*Record, []byte) error) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil
	}
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return errNoRecord
	}
	if !f.Matches(&r, line) {
		return nil
	}
	return visit(&r, line)
}

// readLine reads to the end of a line, io.EOF if there is none yet. One that is
// too long is no record, and is passed over.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return nil, err
		case long:
			return nil, errNoRecord
		default:
			return line, nil
		}
	}
}

// Tail is a log that is read as it is written.
type Tail struct {
	Path   string
	Last   int // how many of the records that are there to begin with
	Filter Filter
}

// Follow reads a log as it is written, over rotations, until the context ends.
// It leaves out lines that are no records, and returns how many.
func (t Tail) Follow(ctx context.Context, visit func(r *Record, line []byte) error) (bad int, err error) {
	state := tail{path: t.Path, filter: t.Filter, visit: visit}
	err = follow(ctx, &state, t.Last)
	return state.bad, err
}

func follow(ctx context.Context, t *tail, last int) error {
	defer t.close()
	if err := t.open(); err != nil {
		return fmt.Errorf("opening the decision log: %w", err)
	}
	if err := t.skip(last); err != nil {
		return err
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if err := t.step(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// tail is the state of a Tail.
type tail struct {
	path   string
	filter Filter
	visit  func(*Record, []byte) error
	file   *os.File
	rest   []byte // a line that has no end yet
	bad    int    // lines that were no records
}

func (t *tail) open() error {
	f, err := os.Open(t.path)
	if err != nil {
		return err
	}
	t.close()
	t.file, t.rest = f, nil
	return nil
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close() // nothing was written
	}
}

// skip shows the last lines that the filter lets pass, and goes to the end.
func (t *tail) skip(last int) error {
	var lines [][]byte
	text, err := io.ReadAll(t.file)
	if err != nil {
		return fmt.Errorf("reading the decision log: %w", err)
	}
	end := bytes.LastIndexByte(text, '\n') + 1
	t.rest = bytes.Clone(text[end:])
	if last > 0 {
		_, t.bad, err = read(bytes.NewReader(text[:end]), &t.filter, func(_ *Record, line []byte) error {
			if lines = append(lines, bytes.Clone(line)); len(lines) > last {
				lines = lines[1:]
			}
			return nil
		})
	}
	for i := 0; i < len(lines) && err == nil; i++ {
		err = visitLine(lines[i], &t.filter, t.visit)
	}
	return err
}

// step shows what was written since the last one. When the file was rotated, the
// old one is read to its end before the new one is opened.
func (t *tail) step() error {
	if err := t.drain(); err != nil {
		return err
	}
	current, err := os.Stat(t.path)
	if err != nil {
		return nil //nolint:nilerr // between two files
	}
	if opened, err := t.file.Stat(); err == nil && os.SameFile(opened, current) {
		return nil
	}
	if err := t.drain(); err != nil {
		return err
	}
	if err := t.open(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening the decision log: %w", err)
	}
	return t.drain()
}

func (t *tail) drain() error {
	text, err := io.ReadAll(t.file)
	if err != nil {
		return fmt.Errorf("reading the decision log: %w", err)
	}
	t.rest = append(t.rest, text...)
	end := bytes.LastIndexByte(t.rest, '\n') + 1
	ready := t.rest[:end]
	t.rest = bytes.Clone(t.rest[end:])
	_, bad, err := read(bytes.NewReader(ready), &t.filter, t.visit)
	t.bad += bad
	return err
}

// Text writes a record as one line for people.
func (r *Record) Text() string {
	parts := []string{r.Time.Format("2006-01-02T15:04:05.000Z"), string(r.Environment), r.Decision}
	for _, p := range []struct{ name, value string }{
		{"rule", r.Rule},
		{"reason", string(r.Reason)},
		{"type", r.Type},
		{"playback_id", string(r.PlaybackID)},
		{"video_id", string(r.VideoID)},
		{"viewer", r.Viewer},
		{"country", r.Country},
		{"revision", r.Revision},
		{"key", string(r.KeyID)},
		{"request_id", r.RequestID},
	} {
		if p.value != "" {
			parts = append(parts, p.name+"="+p.value)
		}
	}
	if r.ExpiresAt > 0 {
		parts = append(parts, "expires_at="+time.Unix(r.ExpiresAt, 0).UTC().Format(time.RFC3339))
	}
	return strings.Join(append(parts, fmt.Sprintf("latency=%s", time.Duration(r.Latency)*time.Microsecond)), " ")
}
