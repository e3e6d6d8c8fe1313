package ratio

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/benchmarks/world"
)

var speedLine = regexp.MustCompile(`(?m)^rsa 2048 bits\s+\S+s\s+\S+s\s+([0-9.]+)`)

// opensslSpeed measures the RSA-2048 signatures of `openssl speed` on all cores.
// It verifies for as long again, hence half the window, and half of its CPU time,
// for each.
func opensslSpeed(ctx context.Context, window time.Duration) (Window, error) {
	seconds := max(1, int(window.Seconds()/2))
	cmd := exec.CommandContext(ctx, "openssl", "speed", "-multi", strconv.Itoa(runtime.NumCPU()), "-seconds", strconv.Itoa(seconds), "rsa2048") //nolint:gosec // our own arguments
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Window{}, fmt.Errorf("running openssl speed: %w: %s", err, out)
	}
	m := speedLine.FindSubmatch(out)
	if m == nil {
		return Window{}, fmt.Errorf("openssl speed printed no figure: %s", out)
	}
	rate, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return Window{}, fmt.Errorf("reading openssl speed's figure: %w", err)
	}
	used := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()) / 2
	return Window{PerSecond: rate, CPU: float64(used.Microseconds()) / (rate * float64(seconds))}, nil
}

// goSignatures signs with crypto/rsa on all cores in a loop, in this process,
// which does nothing else meanwhile.
func goSignatures(ctx context.Context, key *rsa.PrivateKey, window time.Duration) (Window, error) {
	before, err := world.UsageOf(os.Getpid())
	if err != nil {
		return Window{}, err
	}
	began := time.Now()
	done, err := signFor(ctx, key, window)
	elapsed := time.Since(began)
	after, cpuErr := world.UsageOf(os.Getpid())
	if err := errors.Join(err, cpuErr); err != nil {
		return Window{}, err
	}
	return Window{PerSecond: float64(done) / elapsed.Seconds(), CPU: float64((after.CPU - before.CPU).Microseconds()) / float64(done)}, nil
}

// signFor returns how many signatures all cores made in a window.
func signFor(ctx context.Context, key *rsa.PrivateKey, window time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, window)
	defer cancel()
	digest := sha256.Sum256([]byte("a token"))
	var done atomic.Int64
	errs := make([]error, runtime.NumCPU())
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() {
			for ctx.Err() == nil && errs[n] == nil {
				_, errs[n] = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
				done.Add(1)
			}
		})
	}
	all.Wait()
	return done.Load(), errors.Join(errs...)
}

// signsWith asks a binary for the backend that signs on this machine, as `auto`,
// which the world leaves it at, takes it.
func signsWith(ctx context.Context, binary string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the version: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "signer" {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("no signer in %q", out)
}

// missesNeed is what misses must reach beside openssl speed, as a share of it:
// with lanes, more than it can sign.
func missesNeed(backend string) float64 {
	if backend == "multibuffer" {
		return 1.5
	}
	return 0.75
}
