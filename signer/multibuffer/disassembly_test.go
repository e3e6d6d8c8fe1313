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
	text, ok := disassembly(t)
	if !ok {
		return
	}
	found := instructions(text)
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

// disassembly returns that of a program with the kernels, and whether there is an
// objdump to make it.
func disassembly(t *testing.T) (string, bool) {
	t.Helper()
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Logf("the disassembly is NOT TESTED here: %v", err)
		return "", false
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
	return string(out), true
}

// instructions returns the mnemonics of package multibuffer's functions by name.
func instructions(disassembly string) map[string][]string {
	found := map[string][]string{}
	for name, lines := range functions(disassembly) {
		for _, line := range lines {
			if op := strings.Fields(line)[0]; op != "int3" && !strings.HasPrefix(op, "nop") { // between functions
				found[name] = append(found[name], op)
			}
		}
	}
	return found
}

// functions returns the instructions, with operands, of the kernels and the driver.
func functions(disassembly string) map[string][]string {
	symbol := regexp.MustCompile(`^[0-9a-f]+ <github\.com/playgate/playgate/signer/multibuffer\.(kernel[A-Z]\w+|drive)(\.abi0)?>:$`)
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
		if _, instruction, ok := strings.Cut(text, ":\t"); ok && name != "" {
			found[name] = append(found[name], strings.TrimSpace(instruction))
		}
	}
	return found
}
