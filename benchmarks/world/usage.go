package world

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU time.Duration // utime + stime
	RSS int64         // bytes
}

// clockTick is Linux's USER_HZ, which is 100 on every platform that Go runs on.
const clockTick = 10 * time.Millisecond

// UsageOf reads a process's CPU time and resident memory from /proc; children
// are not included.
func UsageOf(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("reading the CPU time: %w", err)
	}
	// The name, in parentheses, may hold spaces; after it comes field 3.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return Usage{}, fmt.Errorf("reading the CPU time: /proc/%d/stat has %d fields", pid, len(fields))
	}
	var n [3]int64
	for i, field := range []int{14, 15, 24} { // utime, stime, rss: see proc_pid_stat(5)
		if n[i], err = strconv.ParseInt(fields[field-3], 10, 64); err != nil {
			return Usage{}, fmt.Errorf("reading /proc/%d/stat: %w", pid, err)
		}
	}
	return Usage{time.Duration(n[0]+n[1]) * clockTick, n[2] * int64(os.Getpagesize())}, nil
}

// Usage returns what the gateway has used so far.
func (g *Gateway) Usage() (Usage, error) { return UsageOf(g.PID) }

// MachineTime is the time of all cores together since the machine started.
type MachineTime struct{ Total, Steal time.Duration }

// Machine reads the machine's time from /proc/stat. Steal is time that the
// hypervisor gave to other machines while ours had work.
func Machine() (MachineTime, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return MachineTime{}, fmt.Errorf("reading the machine's time: %w", err)
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return MachineTime{}, fmt.Errorf("reading the machine's time: /proc/stat begins with %q", line)
	}
	var m MachineTime
	for n, field := range fields[1:9] { // user nice system idle iowait irq softirq steal
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return MachineTime{}, fmt.Errorf("reading /proc/stat: %w", err)
		}
		m.Total += time.Duration(v) * clockTick
		if n == 7 {
			m.Steal = time.Duration(v) * clockTick
		}
	}
	return m, nil
}

// StealSince returns the share of the time since before that was stolen, 0 to 1.
func (m MachineTime) StealSince(before MachineTime) float64 {
	if m.Total <= before.Total {
		return 0
	}
	return float64(m.Steal-before.Steal) / float64(m.Total-before.Total)
}

// Metrics are the samples of one scrape: "name" or `name{label="value"}`, as it
// stands there, to its value.
type Metrics map[string]float64

// Metrics scrapes the gateway.
func (g *Gateway) Metrics(ctx context.Context) (Metrics, error) {
	status, body, err := Get(ctx, g.Admin+"/metrics")
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("scraping the gateway: status %d", status)
	}
	m := Metrics{}
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ')
		if space < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("reading a metric: %w", err)
		}
		m[line[:space]] = v
	}
	return m, nil
}

// Sum adds up all samples of a name, whatever their labels, that contain each of
// the given label pairs, as in `result="hit"`.
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
next:
	for sample, value := range m {
		of, rest, _ := strings.Cut(sample, "{")
		if of != name {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue next
			}
		}
		sum += value
	}
	return sum
}
