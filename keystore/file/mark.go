package file

import (
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// readAgain is how often files are read although nothing says that they have
// changed: what a file system says of them is not always the truth.
const readAgain = time.Hour

// mark tells, without reading, whether an environment's files are those that one
// Load has read, by the stamps of its directory and of each file in it; and has the
// kernel tell of changes, where it does.
type mark struct {
	source   *Source
	env      playback.EnvironmentID
	dir      string
	stamps   []stamped
	read     time.Time // when the files were read
	readNext time.Time
	alone    bool   // nothing outside of the directory can change what was read
	watch    *watch // nil: none
}

// stamped is a path with its stamp from before it was read.
type stamped struct {
	path  string
	stamp stamp
}

// newMark begins the mark of a Load; nil where files have no stamps.
func (s *Source) newMark(env playback.EnvironmentID) *mark {
	dir := filepath.Join(s.dir, string(env))
	if !local(dir) {
		return nil
	}
	now := s.now()
	m := &mark{source: s, env: env, dir: dir, read: now, alone: isDirectory(dir)}
	// Up to half sooner, so that environments that were read together spread.
	m.readNext = now.Add(readAgain - time.Duration(rand.Float64()*float64(readAgain)/2)) //nolint:gosec // spreads load, guards nothing
	m.add(dir)
	return m
}

// add takes the stamp of a path, which is read afterwards.
func (m *mark) add(path string) {
	stamp, plain := stampOf(path)
	m.alone = m.alone && plain
	m.stamps = append(m.stamps, stamped{path, stamp})
}

// Unchanged reports whether the files are those that were read. A file that was
// changed right before it was read is read again: what was changed right after
// may have the same stamp.
func (m *mark) Unchanged() bool {
	if !m.source.now().Before(m.readNext) {
		return false
	}
	if m.alone { // first, so that nothing is missed in between
		m.watch = m.source.notices.watch(m.dir, m.env, m.watch)
	}
	for _, s := range m.stamps {
		if current, _ := stampOf(s.path); current != s.stamp || !s.stamp.settled(m.read) {
			return false
		}
	}
	return true
}

// Watched reports whether the kernel tells of changes.
func (m *mark) Watched() bool { return m.watch != nil }

var _ keystore.Mark = (*mark)(nil)
