package multibuffer_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// kernels are the functions that see keys.
var kernels = []string{
	"kernelProduct", "kernelAccumulate", "kernelProductPick", "kernelSquare", "kernelReduce",
	"kernelDivide", "kernelSettle", "kernelAdd", "kernelSubtract", "kernelPut", "kernelCarry", "kernelTrim",
}

// harmless are the instructions of kernels: all take the same time for all values, and
// none of them jumps or takes an address from a vector.
var harmless = regexp.MustCompile(`^(vmovdqa64|vpmadd52[lh]uq|vp(add|sub|and|xor|ternlog)[qd]?|vpsr[al]q|vptestmq|vpmovq2m|vpbroadcastq|vmovq|k(xor|not|and)b|movl?|addq?|lea|ret[qw]?)$`)

// What computes with a key has no jump that depends on anything but a count, and
// no address that depends on data: no kernel jumps or gathers, and the driver has
// one conditional jump, that of its loop.
func TestThePrivatePathHasNoConditionalJump(t *testing.T) {
	t.Parallel()
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Logf("the disassembly is NOT TESTED here: %v", err)
		return
	}
	program := filepath.Join(t.TempDir(), "leak")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./internal/leak")
	build.Env = append(os.Environ(), "GOARCH=amd64", "GOOS=linux", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	out, err := exec.CommandContext(t.Context(), objdump, "-d", "--no-show-raw-insn", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	found := instructions(string(out))
	for _, name := range kernels {
		if len(found[name]) < 20 {
			t.Errorf("%s has %d instructions in the disassembly", name, len(found[name]))
		}
		for _, op := range found[name] {
			if !harmless.MatchString(op) {
				t.Errorf("%s has %s", name, op)
			}
		}
	}
	jumps := 0
	for _, op := range found["drive"] {
		if strings.HasPrefix(op, "j") && op != "jmp" {
			jumps++
		}
	}
	if jumps != 1 {
		t.Errorf("the driver has %d conditional jumps, want that of its loop", jumps)
	}
}

// instructions returns the mnemonics of package multibuffer's functions by name.
func instructions(disassembly string) map[string][]string {
	symbol := regexp.MustCompile(`^[0-9a-f]+ <github\.com/playgate/playgate/signer/multibuffer\.(kernel[A-Z]\w+|drive)(\.abi0)?>:$`)
	line := regexp.MustCompile(`^\s+[0-9a-f]+:\s+(\S+)`)
	found, name := map[string][]string{}, ""
	for text := range strings.Lines(disassembly) {
		text = strings.TrimRight(text, "\n")
		if strings.HasSuffix(text, ">:") {
			name = ""
			if m := symbol.FindStringSubmatch(text); m != nil {
				name = m[1]
			}
			continue
		}
		m := line.FindStringSubmatch(text)
		if name == "" || m == nil || m[1] == "int3" || m[1] == "nop" { // between functions
			continue
		}
		found[name] = append(found[name], m[1])
	}
	return found
}
