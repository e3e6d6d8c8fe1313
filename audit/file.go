package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// FileConfig says where records go and how much of them is kept.
type FileConfig struct {
	Path    string
	MaxSize int64 // bytes of one file, > 0
	Keep    int   // full files beside the one that is written to: path.1 is the newest
}

// file is a sink that writes lines to a file and begins a new one when it is
// full. A record is never split.
type file struct {
	cfg  FileConfig
	f    *os.File // nil: could not be opened again
	size int64
	torn bool // it ends within a line
}

// OpenFile opens or makes the file. Nobody but its owner can read it.
func OpenFile(cfg FileConfig) (Sink, error) {
	s := &file{cfg: cfg}
	return s, s.open()
}

func (s *file) open() error {
	f, err := os.OpenFile(s.cfg.Path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the decision log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("opening the decision log: %w", err), f.Close())
	}
	last := []byte{'\n'}
	if info.Size() > 0 { // an earlier process may have been cut short
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return errors.Join(fmt.Errorf("opening the decision log: %w", err), f.Close())
		}
	}
	s.f, s.size, s.torn = f, info.Size(), last[0] != '\n'
	return nil
}

// Write appends the lines, over as many files as it takes.
func (s *file) Write(_ context.Context, entries []Entry) error {
	var pending bytes.Buffer
	for _, e := range entries {
		if total := s.size + int64(pending.Len()); total > 0 && total+int64(len(e.Line)) > s.cfg.MaxSize {
			if err := s.append(&pending); err != nil {
				return err
			}
			if err := s.rotate(); err != nil {
				return err
			}
		}
		pending.Write(e.Line)
	}
	return s.append(&pending)
}

func (s *file) append(lines *bytes.Buffer) error {
	if s.f == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	text := lines.Bytes()
	if s.torn && len(text) > 0 {
		text = append([]byte("\n"), text...)
	}
	n, err := s.f.Write(text)
	lines.Reset()
	if err != nil {
		return errors.Join(fmt.Errorf("writing decisions: %w", err), s.undo(n))
	}
	s.size += int64(n)
	s.torn = s.torn && n == 0
	return nil
}

// undo takes back what was written of lines that did not fit: half a line would
// spoil the next one. If that fails too, the next one begins anew.
func (s *file) undo(written int) error {
	if written == 0 {
		return nil
	}
	err := s.f.Truncate(s.size)
	if err != nil {
		s.size += int64(written)
		s.torn = true
		return fmt.Errorf("taking half a decision back: %w", err)
	}
	return nil
}

// rotate makes room: path becomes path.1, that path.2, and the oldest goes.
func (s *file) rotate() error {
	err := s.f.Close()
	s.f, s.size = nil, 0
	if err != nil {
		return fmt.Errorf("closing a full decision log: %w", err)
	}
	if s.cfg.Keep == 0 {
		err = os.Remove(s.cfg.Path)
	}
	for n := s.cfg.Keep; n > 0 && err == nil; n-- {
		from := s.cfg.Path
		if n > 1 {
			from = s.cfg.Path + "." + strconv.Itoa(n-1)
		}
		if err = os.Rename(from, s.cfg.Path+"."+strconv.Itoa(n)); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("rotating the decision log: %w", err)
	}
	return s.open()
}

// Close closes the file.
func (s *file) Close(context.Context) error {
	if s.f == nil {
		return nil
	}
	return s.f.Close()
}

// stream is a sink that writes lines to somebody else's writer.
type stream struct{ w io.Writer }

// NewStream returns a sink that writes lines to w, one call for as many records
// as are ready.
func NewStream(w io.Writer) Sink { return stream{w} }

func (s stream) Write(_ context.Context, entries []Entry) error {
	var all bytes.Buffer
	for _, e := range entries {
		all.Write(e.Line)
	}
	_, err := s.w.Write(all.Bytes())
	return err
}

func (stream) Close(context.Context) error { return nil }
