package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// result is what one load window gave.
type result struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P90       float64 `json:"p90_us"`
	P99       float64 `json:"p99_us"`
	Max       float64 `json:"max_us"`
	Errors    int     `json:"errors"`
}

// wrk drives the load generator of that name.
type wrk struct {
	dir         string
	window      time.Duration
	connections int
}

// missScript asks for a playback ID that nobody asked for before, so that
// every answer has to be signed.
const missScript = `
local n = 0
local run = tostring(os.time()) .. tostring(math.random(1000000))
request = function()
  n = n + 1
  return wrk.format("GET", "/v1/playback-ids/MISS" .. run .. "X" .. n .. "/token")
end
`

// reportScript prints the figures as JSON. wrk counts every status of 400 and
// above as an error; one error fails the run, so no refusal passes for speed.
const reportScript = `
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"per_second":%f,"p50_us":%f,"p90_us":%f,"p99_us":%f,"max_us":%f,"errors":%d}\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency.max, e.connect + e.read + e.write + e.status + e.timeout))
end
`

// run puts load on one URL for one window. viewer is the bearer token, "" none.
func (l wrk) run(ctx context.Context, url, viewer, script string) (result, error) {
	file := filepath.Join(l.dir, "load.lua")
	if viewer != "" {
		script += fmt.Sprintf("\nwrk.headers[\"Authorization\"] = %q\n", "Bearer "+viewer)
	}
	if err := os.WriteFile(file, []byte(script+reportScript), 0o600); err != nil {
		return result{}, fmt.Errorf("writing the load script: %w", err)
	}
	seconds := strconv.Itoa(int(l.window.Round(time.Second).Seconds())) + "s"
	cmd := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(l.connections), "-d"+seconds, "-s", file, url) //nolint:gosec // our own arguments
	out, err := cmd.CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("running wrk: %w: %s", err, out)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var r result
	if err := json.Unmarshal(lines[len(lines)-1], &r); err != nil {
		return result{}, fmt.Errorf("reading wrk's figures: %w: %s", err, out)
	}
	if r.Errors > 0 {
		return r, fmt.Errorf("%d answers of %s were errors", r.Errors, url)
	}
	return r, nil
}

var speedLine = regexp.MustCompile(`(?m)^rsa 2048 bits\s+\S+s\s+\S+s\s+([0-9.]+)`)

// opensslSpeed returns the RSA-2048 signatures per second of `openssl speed`
// on both cores.
func opensslSpeed(ctx context.Context, window time.Duration) (float64, error) {
	seconds := strconv.Itoa(max(1, int(window.Seconds())))
	out, err := exec.CommandContext(ctx, "openssl", "speed", "-multi", "2", "-seconds", seconds, "rsa2048").CombinedOutput() //nolint:gosec // our own arguments
	if err != nil {
		return 0, fmt.Errorf("running openssl speed: %w: %s", err, out)
	}
	m := speedLine.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("openssl speed printed no figure: %s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
