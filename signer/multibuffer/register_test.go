package multibuffer_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// No number comes from a vector into an address: kernels address by the registers
// that the driver sets, by the constants beside the code, and by RAX, which gets the
// sum of two of the driver's or a constant. They write to no general register but
// RAX and, to move on by a step's number, RDI.
func TestKernelsAddressByTheDriversRegistersAlone(t *testing.T) {
	t.Parallel()
	text, ok := disassembly(t)
	if !ok {
		return
	}
	address := regexp.MustCompile(`\([^)]*\)`)
	general := regexp.MustCompile(`^%[re]?(ax|bx|cx|dx|si|di|bp|sp|8|9|1[0-5])[dwb]?$`)
	allowed := regexp.MustCompile(`^(movl? +\$0x[0-9a-f]+,%eax|addq? +%r8,%rdi|lea +\(%r11,%r8,1\),%rax)$`)
	for name, lines := range functions(text) {
		if !strings.HasPrefix(name, "kernel") {
			continue
		}
		for _, line := range lines {
			for _, a := range address.FindAllString(line, -1) {
				if !slices.Contains([]string{"(%rdi)", "(%rsi)", "(%rdx)", "(%rcx)", "(%rax)", "(%rip)", "(%r11,%r8,1)"}, a) {
					t.Errorf("%s addresses with %s: %s", name, a, line)
				}
			}
			operands := strings.Split(line, ",")
			if last := operands[len(operands)-1]; general.MatchString(last) && !allowed.MatchString(line) {
				t.Errorf("%s writes to a general register: %s", name, line)
			}
		}
	}
}

// What kernels leave in vectors and masks, the driver overwrites before it returns.
func TestTheDriverWipesWhatKernelsUse(t *testing.T) {
	t.Parallel()
	text, ok := disassembly(t)
	if !ok {
		return
	}
	register, wipe := regexp.MustCompile(`%(?:[xyz]mm(\d+)|k([0-7]))\b`), regexp.MustCompile(`^(?:vpxorq|kxor[bwdq]) +%([zk])(?:mm)?(\d+),%[zk](?:mm)?(\d+),%[zk](?:mm)?(\d+)$`)
	used, wiped := map[string]bool{}, map[string]bool{}
	for name, lines := range functions(text) {
		for _, line := range lines {
			if m := wipe.FindStringSubmatch(line); m != nil && name == "drive" && m[2] == m[3] && m[3] == m[4] {
				wiped[m[1]+m[2]] = true
			}
			if name == "drive" && line == "vzeroall" {
				for i := range 16 {
					wiped["z"+strconv.Itoa(i)] = true
				}
			}
			for _, m := range register.FindAllStringSubmatch(line, -1) {
				if m[1] != "" {
					used["z"+m[1]] = true
				} else {
					used["k"+m[2]] = true
				}
			}
		}
	}
	if len(used) < 32 {
		t.Errorf("found %d registers", len(used))
	}
	for _, r := range slices.Sorted(maps.Keys(used)) {
		if !wiped[r] {
			t.Errorf("%s is left as it is", r)
		}
	}
}

// Supported must ask for every extension that an instruction needs. The generator
// writes down those of the kernels; the driver is KXORQ's, of AVX512BW.
func TestNoKernelRequiresWhatSupportedDoesNotAskFor(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("kernel_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	supported, err := os.ReadFile("assembly_amd64.go")
	if err != nil {
		t.Fatal(err)
	}
	required := regexp.MustCompile(`(?m)^// Requires: (.+)$`).FindAllStringSubmatch(string(source), -1)
	if len(required) == 0 {
		t.Fatal("the kernels require nothing")
	}
	for _, extensions := range append(required, []string{"", "AVX512BW"}) {
		for extension := range strings.SplitSeq(extensions[1], ", ") {
			if extension != "AVX" && !strings.Contains(string(supported), "cpu.X86.Has"+extension) { // AVX512F has it
				t.Errorf("the kernels require %s", extension)
			}
		}
	}
}
