package ratio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// threads returns how many threads wrk gets: one per core. A single one is busy
// all the time before bare fiber is, and would hide what the server could do.
func threads() int { return runtime.NumCPU() }

// load is what wrk sends.
type load struct {
	base        string // http://127.0.0.1:…
	path        string // of every request; "" where the script makes requests
	viewer      string // bearer token of every request, "" none
	script      string // Lua that makes the requests, "" none
	connections int
}

// figures are what wrk says of one window.
type figures struct {
	Requests  int64   `json:"requests"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	Errors    int64   `json:"errors"`
}

// threadScript gives each of wrk's threads a number, from 0.
const threadScript = `
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end
`

// reportScript prints the figures as JSON. wrk counts every status of 400 and
// above as an error; one error fails the run, so no refusal passes for speed.
const reportScript = `
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"per_second":%f,"p50_us":%f,"p99_us":%f,"errors":%d}\n',
    summary.requests, summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`

// missScript asks for a playback ID that nobody asked for before, so that every
// answer has to be signed. The IDs count up in a range of the thread's own; the
// viewers take turns. A request is glued together from three strings that are
// made beforehand, but for the number. Parameters: the request up to the ID's
// number, what follows it (VIEWER stands for a token in both), the file of viewer
// tokens.
const missScript = `
local before, after, file = %q, %q, %q
local heads, tails, n = {}, {}, 0
function init(args)
  for token in io.lines(file) do
    heads[#heads + 1] = before:gsub("VIEWER", token) .. "T" .. number .. "N"
    tails[#tails + 1] = after:gsub("VIEWER", token)
  end
end
function request()
  n = n + 1
  local viewer = n %% #heads + 1
  return heads[viewer] .. string.format("%%09d", n) .. tails[viewer]
end
`

// viewerScript sends one request as one viewer after the other, from the
// beginning again when all have asked. Parameters: the request with VIEWER for a
// token, the file of viewer tokens, how many threads.
const viewerScript = `
local template, file, threads = %q, %q, %d
local requests, n, line = {}, 0, 0
function init(args)
  for token in io.lines(file) do
    if line %% threads == number then
      requests[#requests + 1] = template:gsub("VIEWER", token)
    end
    line = line + 1
  end
end
function request()
  n = n + 1
  if n > #requests then n = 1 end
  return requests[n]
end
`

// run puts load on a server for one window.
func (l *load) run(ctx context.Context, dir string, window time.Duration) (figures, error) {
	file := filepath.Join(dir, "load.lua")
	script := l.script
	if l.viewer != "" {
		script = fmt.Sprintf("wrk.headers[\"Authorization\"] = %q\n", "Bearer "+l.viewer)
	}
	if err := os.WriteFile(file, []byte(threadScript+script+reportScript), 0o600); err != nil {
		return figures{}, fmt.Errorf("writing the load script: %w", err)
	}
	seconds := strconv.Itoa(max(1, int(window.Round(time.Second).Seconds()))) + "s"
	cmd := exec.CommandContext(ctx, "wrk", "-t"+strconv.Itoa(threads()), "-c"+strconv.Itoa(l.connections), "-d"+seconds, "-s", file, l.base+l.path) //nolint:gosec // our own arguments
	out, err := cmd.CombinedOutput()
	if err != nil {
		return figures{}, fmt.Errorf("running wrk (make setup installs it): %w: %s", err, out)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var f figures
	if err := json.Unmarshal(lines[len(lines)-1], &f); err != nil {
		return figures{}, fmt.Errorf("reading wrk's figures: %w: %s", err, out)
	}
	if f.Errors > 0 {
		return figures{}, fmt.Errorf("%d of %d answers were errors", f.Errors, f.Requests)
	}
	if f.Requests == 0 {
		return figures{}, errors.New("there was no answer")
	}
	return f, nil
}
