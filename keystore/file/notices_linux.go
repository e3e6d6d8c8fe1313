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
)

// notices are what the kernel tells of changes in directories (inotify(7)). They
// begin with the first watch.
type notices struct {
	root string // what must stay what it is for the watches below it to count
	now  func() time.Time

	mu      sync.Mutex // guards what follows
	kernel  *os.File   // nil: not begun, or not to be had
	failed  bool       // it is not to be had
	watches map[int32]*watch
	rooted  stamp     // the directory that the watches are below
	looked  time.Time // when that was last looked at
	pruned  time.Time // when watches that nobody asks were last ended
	closed  bool
	ended   sync.WaitGroup
}

// watch is a directory that the kernel tells of changes in.
type watch struct {
	events atomic.Uint64
	over   atomic.Bool  // nothing more will be told
	asked  atomic.Int64 // when it was last asked, Unix seconds
	of     *notices
}

// lookAgain is how often it is looked at whether the key directory is still what
// it was.
const lookAgain = time.Second

// unasked is how long a watch goes on that nobody asks: its environment is gone.
const unasked = 5 * time.Minute

// what is asked to be told: changes of names and contents, and the end of the
// directory itself under its name.
const watched = unix.IN_ATTRIB | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW

func newNotices(root string, now func() time.Time) *notices {
	return &notices{root: root, now: now, watches: map[int32]*watch{}}
}

// watch returns the watch of a directory: the one that is given if it goes on, a
// new one if not, nil if the kernel will not have it.
func (n *notices) watch(dir string, given *watch) *watch {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.standsLocked() {
		return nil
	}
	if given != nil && !given.over.Load() {
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
		w = &watch{of: n}
		w.asked.Store(n.now().Unix())
		n.watches[int32(number)] = w
	}
	return w
}

// standsLocked begins to listen if nobody does, and reports whether watches count.
func (n *notices) standsLocked() bool {
	if n.closed || n.failed {
		return false
	}
	if n.kernel == nil {
		fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
		if err != nil {
			n.failed = true
			return false
		}
		n.kernel = os.NewFile(uintptr(fd), "inotify")
		n.rooted, _ = stampOf(n.root)
		n.looked = n.now()
		n.ended.Go(func() { n.listen(n.kernel) })
	}
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

// count returns how much was told so far.
func (w *watch) count() uint64 { return w.events.Load() }

// quiet reports whether nothing was told since a count, and would have been.
func (w *watch) quiet(since uint64) bool {
	w.asked.Store(w.of.now().Unix())
	return w.of.rootStands() && !w.over.Load() && w.events.Load() == since
}

// rootStands reports whether the key directory is still the one that the watches
// are below: it may be a link that was swapped, or was moved away. If it is not,
// all watches are over.
func (n *notices) rootStands() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.now(); now.Sub(n.looked) >= lookAgain {
		n.looked = now
		current, _ := stampOf(n.root)
		if current.device != n.rooted.device || current.inode != n.rooted.inode {
			n.endLocked(func(*watch) bool { return true })
			n.rooted = current
		}
		if now.Sub(n.pruned) >= unasked {
			n.pruned = now
			n.endLocked(func(w *watch) bool { return now.Unix()-w.asked.Load() >= int64(unasked/time.Second) })
		}
	}
	return !n.closed
}

// endLocked ends the watches that say so.
func (n *notices) endLocked(which func(*watch) bool) {
	for number, w := range n.watches {
		if which(w) {
			w.over.Store(true)
			delete(n.watches, number)
			n.forgetLocked(number)
		}
	}
}

// forgetLocked has the kernel tell no more of a directory.
func (n *notices) forgetLocked(number int32) {
	_ = n.control(func(fd int) error { // it may be gone already
		_, err := unix.InotifyRmWatch(fd, uint32(number)) //nolint:gosec // the kernel's own number
		return err
	})
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
		n.takeLocked(buffer[:size])
		n.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = true
	for _, w := range n.watches {
		w.over.Store(true)
	}
}

// takeLocked notes events: inotify(7) has their layout.
func (n *notices) takeLocked(events []byte) {
	const head = unix.SizeofInotifyEvent
	for len(events) >= head {
		number := int32(binary.NativeEndian.Uint32(events)) //nolint:gosec // it is one
		mask := binary.NativeEndian.Uint32(events[4:])
		name := int(binary.NativeEndian.Uint32(events[12:]))
		events = events[min(len(events), head+name):]
		if mask&unix.IN_Q_OVERFLOW != 0 { // some were lost, nobody knows whose
			for _, w := range n.watches {
				w.events.Add(1)
			}
			continue
		}
		w := n.watches[number]
		if w == nil {
			continue
		}
		w.events.Add(1)
		if mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_IGNORED|unix.IN_UNMOUNT) != 0 {
			w.over.Store(true)
			delete(n.watches, number)
			if mask&unix.IN_MOVE_SELF != 0 { // else it has ended by itself
				n.forgetLocked(number)
			}
		}
	}
}

// close ends all watches and waits until nobody listens.
func (n *notices) close() error {
	n.mu.Lock()
	n.closed = true
	kernel := n.kernel
	n.mu.Unlock()
	if kernel == nil {
		return nil
	}
	err := kernel.Close()
	n.ended.Wait()
	return err
}
