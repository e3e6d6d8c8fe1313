package file

import (
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

const (
	// readAgain is how often files are read although nothing says that they have
	// changed: what a file system says of them is not always the truth.
	readAgain = 5 * time.Minute
	// compareAgain is how often stamps are compared although the kernel has told
	// of no change.
	compareAgain = 30 * time.Second
)

// mark tells, without reading, whether an environment's files are those that one
// Load has read: by the kernel's notices, where there are any, and by the stamps
// of its directory and of each file in it.
type mark struct {
	source   *Source
	dir      string
	stamps   []stamped
	read     time.Time // when the files were read
	readNext time.Time
	compared time.Time
	watch    *watch // nil: none
	notices  uint64 // of watch, before the stamps were compared
	alone    bool   // nothing outside of the directory can change what was read
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
	m := &mark{source: s, dir: dir, read: now, compared: now, alone: isDirectory(dir)}
	// Up to a fifth sooner, so that environments spread.
	m.readNext = now.Add(readAgain - time.Duration(rand.Float64()*float64(readAgain)/5)) //nolint:gosec // spreads load, guards nothing
	m.add(dir)
	return m
}

// add takes the stamp of a path, which is read afterwards.
func (m *mark) add(path string) {
	stamp, plain := stampOf(path)
	m.alone = m.alone && plain
	m.stamps = append(m.stamps, stamped{path, stamp})
}

// Unchanged reports whether the files are those that were read.
func (m *mark) Unchanged() bool {
	now := m.source.now()
	if !now.Before(m.readNext) {
		return false
	}
	if m.watch != nil && now.Before(m.compared.Add(compareAgain)) {
		return m.watch.quiet(m.notices) || m.compare(now)
	}
	return m.compare(now)
}

// compare compares all stamps, and has the kernel tell of changes from now on.
// Where it does not, a file that was changed right before it was read is read
// again: what was changed right after may have the same stamp.
func (m *mark) compare(now time.Time) bool {
	if m.alone {
		m.watch = m.source.notices.watch(m.dir, m.watch)
	}
	if m.watch != nil {
		m.notices = m.watch.count()
	}
	for _, s := range m.stamps {
		current, _ := stampOf(s.path)
		if current != s.stamp || m.watch == nil && !s.stamp.settled(m.read) {
			return false
		}
	}
	m.compared = now
	return true
}

var _ keystore.Mark = (*mark)(nil)
