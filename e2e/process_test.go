package e2e_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCoreDumpsHoldNoKeys: neither by default nor where an operator raises the
// limit, or the kernel pipes dumps to a program that ignores it.
func TestCoreDumpsHoldNoKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	g := launchBy(t, w.files, "sh", "-c", `cd "$(dirname "$4")"; GOTRACEBACK=crash exec "$@"`, "sh")
	g.await("ready", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	proc := fmt.Sprintf("/proc/%d/", g.cmd.Process.Pid)
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok && strings.Fields(rest)[0] != "0" {
			t.Errorf("the soft limit is %s, want 0", strings.Fields(rest)[0])
		}
	}
	if filter, err := os.ReadFile(proc + "coredump_filter"); err != nil || strings.TrimSpace(string(filter)) != "00000000" {
		t.Errorf("coredump_filter is %q, %v, want 00000000", filter, err)
	}
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(string(pattern), "|/") {
		t.Logf("core_pattern is %s: where a dump goes is not known, so none is made", pattern)
		return
	}
	g.ownCoreDump(w)
}

// ownCoreDump raises the limit, makes the gateway dump its core into its folder,
// and looks for its key and its configuration there.
func (g *gateway) ownCoreDump(w *world) {
	g.t.Helper()
	if out, err := exec.Command("prlimit", "--core=unlimited:", "--pid", fmt.Sprint(g.cmd.Process.Pid)).CombinedOutput(); err != nil {
		g.t.Fatalf("raising the limit: %v: %s", err, out)
	}
	g.signal(syscall.SIGABRT)
	_ = g.wait()
	cores, err := filepath.Glob(filepath.Join(g.dir, "core*"))
	if err != nil || len(cores) == 0 {
		g.t.Fatalf("there is no dump, so that nothing is shown: %v", err)
	}
	dump, err := os.ReadFile(cores[0])
	if err != nil {
		g.t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(w.files["keys/acme/KEYacme.pem"]))
	for what, secret := range map[string][]byte{"the key": block.Bytes[100:200], "the configuration": []byte("tok-acme")} {
		if bytes.Contains(dump, secret) {
			g.t.Errorf("%s is in the dump of %d bytes", what, len(dump))
		}
	}
}

// TestAnUnprivilegedUserHasProcessMetrics: what protects memory must not take
// /proc/self away from its own process.
func TestAnUnprivilegedUserHasProcessMetrics(t *testing.T) {
	t.Parallel()
	var by []string
	if os.Geteuid() == 0 {
		by = []string{"sh", "-ec", `
			dir=$(dirname "$4")
			cp "$1" "$dir/playgate"
			chown -R 65534:65534 "$dir"
			chmod 711 "$(dirname "$dir")"
			shift
			exec setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/playgate" "$@"`, "sh"}
	}
	w := newWorld(t, "", "acme")
	w.files["playgate.yaml"] += "store: {driver: memory}\n"
	g := launchBy(t, w.files, by...)
	g.await("ready", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	for _, name := range []string{"process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_cpu_seconds_total"} {
		if g.sample(name) <= 0 {
			t.Errorf("%s is not measured", name)
		}
	}
}
