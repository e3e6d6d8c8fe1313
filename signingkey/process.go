package signingkey

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Process is what the journal says of who carries an operation out.
type Process struct {
	// Name tells processes apart: place/number. A place is where numbers are
	// unique.
	Name string
	// Alive reports whether the process with a number lives at the same place;
	// nil: nobody can tell.
	Alive func(pid int) bool
}

// thisProcess names the process by its host, and on Linux by the namespace of
// its number: containers that share a host name count from 1 each.
func thisProcess() Process {
	place, err := os.Hostname()
	if err != nil {
		place = "unknown-host"
	}
	if space, err := os.Readlink("/proc/self/ns/pid"); err == nil {
		place += "/" + space
	}
	return Process{Name: fmt.Sprintf("%s/%d", place, os.Getpid()), Alive: alive}
}

// gone reports whether the process of a name is sure to have ended: it ran at
// the place of this one, where nobody has its number.
func (p Process) gone(name string) bool {
	here, _, _ := cutLast(p.Name)
	place, number, ok := cutLast(name)
	pid, err := strconv.Atoi(number)
	return ok && err == nil && pid > 0 && place == here && p.Alive != nil && !p.Alive(pid)
}

func cutLast(name string) (place, number string, ok bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}

// alive asks the kernel. Who may not be asked lives.
func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return !errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
