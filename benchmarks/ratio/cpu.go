package ratio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/playgate/playgate/benchmarks/world"
)

// cpuOf returns the CPU time (utime + stime) that a process and its living
// descendants have used so far: a cluster's workers do its work.
func cpuOf(pid int) (time.Duration, error) {
	children, err := processTree()
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for pids := []int{pid}; len(pids) > 0; pids = pids[1:] {
		u, err := world.UsageOf(pids[0])
		if err != nil {
			return 0, err
		}
		sum += u.CPU
		pids = slices.Concat(pids, children[pids[0]])
	}
	return sum, nil
}

// processTree returns each process's children.
func processTree() (map[int][]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	tree := map[int][]int{}
	for _, file := range files {
		stat, err := os.ReadFile(file) //nolint:gosec // what /proc lists
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return nil, fmt.Errorf("reading a process: %w", err)
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, fmt.Errorf("reading a process: %w", err)
		}
		// The name, in parentheses, may hold anything; after the last one come state and parent.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 {
			return nil, fmt.Errorf("reading a process: %s holds %q", file, stat)
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("reading a process: %w", err)
		}
		tree[parent] = append(tree[parent], pid)
	}
	return tree, nil
}
