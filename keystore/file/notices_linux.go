package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/playgate/playgate/playback"
)

// notices are what the kernel tells of changes in directories (inotify(7)). They
// begin with the first watch.
type notices struct {
	root string // what must stay what it is for the watches below it to count
	now  func() time.Time
	tell atomic.Pointer[func(playback.EnvironmentID)] // nil: nobody is told

	mu      sync.Mutex // guards what follows; nobody is told under it
	kernel  *os.File   // nil: not begun
	failed  bool       // it is not to be had
	watches map[int32]*watch
	rooted  stamp // the directory that the watches are below
	stop    chan struct{}
	closed  bool
	ended   sync.WaitGroup
}

// watch is a directory that the kernel tells of changes in. Its fields are guarded
// by the notices' mu.
type watch struct {
	env   playback.EnvironmentID
	over  bool      // nothing more will be told
	asked time.Time // when somebody last wanted it
}

const (
	// lookAgain is how often it is looked at whether the key directory is still
	// what it was.
	lookAgain = time.Second
	// unasked is how long a watch goes on that nobody asks: its environment is gone.
	unasked = 5 * time.Minute
)

// what is asked to be told: changes of names and contents, and the end of the
// directory itself under its name.
const watched = unix.IN_ATTRIB | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW

func newNotices(root string, now func() time.Time) *notices {
	return &notices{root: root, now: now, watches: map[int32]*watch{}, stop: make(chan struct{})}
}

// notify says who is told.
func (n *notices) notify(tell func(playback.EnvironmentID)) { n.tell.Store(&tell) }

// watch returns the watch of an environment's directory: the one that is given if
// it goes on, a new one if not, nil if the kernel will not have it.
func (n *notices) watch(dir string, env playback.EnvironmentID, given *watch) *watch {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.beginLocked() {
		return nil
	}
	if given != nil && !given.over {
		given.asked = n.now()
		return given
	}
	number := -1
	err := n.control(func(fd int) (err error) {
		number, err = unix.InotifyAddWatch(fd, dir, watched)
		return err
	})
	if err != nil {
		return nil // the limit is reached (max_user_watches), or it is not there any more
	}
	w := n.watches[int32(number)]
	if w == nil {
		w = &watch{env: env}
		n.watches[int32(number)] = w
	}
	w.asked = n.now()
	return w
}

// beginLocked begins to listen if nobody does; false: that cannot be.
func (n *notices) beginLocked() bool {
	if n.closed || n.failed || n.tell.Load() == nil {
		return false
	}
	if n.kernel != nil {
		return true
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		n.failed = true
		return false
	}
	n.kernel = os.NewFile(uintptr(fd), "inotify")
	n.rooted, _ = stampOf(n.root)
	n.ended.Go(func() { n.listen(n.kernel) })
	n.ended.Go(n.guard)
	return true
}

func (n *notices) control(do func(fd int) error) error {
	raw, err := n.kernel.SyscallConn()
	if err != nil {
		return fmt.Errorf("using inotify: %w", err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = do(int(fd)) })
	return errors.Join(err, failed)
}

// guard looks at the key directory now and then: it may be a link that is swapped,
// or be moved away, and then all watches are over. Those that nobody asks any more
// end, too.
func (n *notices) guard() {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-ticker.C:
		}
		n.look()
	}
}

// look does what guard is for, once.
func (n *notices) look() {
	current, _ := stampOf(n.root)
	n.mu.Lock()
	moved := current.device != n.rooted.device || current.inode != n.rooted.inode
	n.rooted = current
	now := n.now()
	over := n.endLocked(func(w *watch) bool { return moved || now.Sub(w.asked) >= unasked })
	n.mu.Unlock()
	n.tellOf(over)
}

// endLocked ends the watches that say so, and returns their environments.
func (n *notices) endLocked(which func(*watch) bool) (over []playback.EnvironmentID) {
	for number, w := range n.watches {
		if which(w) {
			over = append(over, w.env)
			n.forgetLocked(number, w)
		}
	}
	return over
}

// forgetLocked ends a watch, and has the kernel tell no more of it.
func (n *notices) forgetLocked(number int32, w *watch) {
	w.over = true
	delete(n.watches, number)
	_ = n.control(func(fd int) error { // it may be gone already
		_, err := unix.InotifyRmWatch(fd, uint32(number)) //nolint:gosec // the kernel's own number
		return err
	})
}

// tellOf tells of changes.
func (n *notices) tellOf(environments []playback.EnvironmentID) {
	for _, env := range environments {
		(*n.tell.Load())(env)
	}
}

// listen takes what the kernel tells until the file is closed.
func (n *notices) listen(kernel *os.File) {
	buffer := make([]byte, 64<<10)
	for {
		size, err := kernel.Read(buffer)
		if err != nil {
			break
		}
		n.mu.Lock()
		changed := n.takeLocked(buffer[:size])
		n.mu.Unlock()
		n.tellOf(changed)
	}
	n.mu.Lock()
	n.failed = true
	closed, over := n.closed, n.endLocked(func(*watch) bool { return true })
	n.mu.Unlock()
	if !closed {
		n.tellOf(over)
	}
}

// takeLocked returns the environments of events: inotify(7) has their layout.
func (n *notices) takeLocked(events []byte) (changed []playback.EnvironmentID) {
	const head = unix.SizeofInotifyEvent
	seen := map[*watch]bool{}
	for len(events) >= head {
		number := int32(binary.NativeEndian.Uint32(events)) //nolint:gosec // it is one
		mask := binary.NativeEndian.Uint32(events[4:])
		name := int(binary.NativeEndian.Uint32(events[12:]))
		events = events[min(len(events), head+name):]
		if mask&unix.IN_Q_OVERFLOW != 0 { // some were lost, nobody knows whose
			for _, w := range n.watches {
				changed = append(changed, w.env)
			}
			continue
		}
		w := n.watches[number]
		if w == nil {
			continue
		}
		if !seen[w] {
			seen[w] = true
			changed = append(changed, w.env)
		}
		switch {
		case mask&unix.IN_MOVE_SELF != 0:
			n.forgetLocked(number, w)
		case mask&(unix.IN_DELETE_SELF|unix.IN_IGNORED|unix.IN_UNMOUNT) != 0: // the kernel has ended it
			w.over = true
			delete(n.watches, number)
		}
	}
	return changed
}

// close ends all watches and waits until nobody listens.
func (n *notices) close() error {
	n.mu.Lock()
	kernel, closed := n.kernel, n.closed
	n.closed = true
	n.mu.Unlock()
	if kernel == nil || closed {
		return nil
	}
	close(n.stop)
	err := kernel.Close()
	n.ended.Wait()
	return err
}
