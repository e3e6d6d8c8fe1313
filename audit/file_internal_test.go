package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestHalfALineIsTakenBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions.log")
	s := &file{cfg: FileConfig{Path: path, MaxSize: 1000}}
	write := func(text string) {
		t.Helper()
		if err := s.append(bytes.NewBufferString(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	n, err := s.f.WriteString("tw") // all that the disk took
	if err != nil {
		t.Fatal(err)
	}
	if err := s.undo(n); err != nil {
		t.Fatal(err)
	}
	write("three\n")
	s.torn = true // as if it could not be taken back
	write("four\n")
	write("five\n")
	text, err := os.ReadFile(path)
	if want := "one\nthree\n\nfour\nfive\n"; err != nil || string(text) != want || s.size != int64(len(want)) {
		t.Errorf("file %q of %d bytes, %v, want %q", text, s.size, err, want)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
