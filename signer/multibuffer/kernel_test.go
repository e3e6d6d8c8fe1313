package multibuffer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestStep(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for op := opProduct; op <= opTrim; op++ {
		b := NewBatch()
		for i := range b.scratch {
			b.scratch[i] = rng.Uint64() & mask52
		}
		c := slices.Clone(b.scratch)
		s := step{op: op, number: 8, dst: 0, a: 100 * 64, b: 200 * 64, c: 600 * 64}
		if op == opPut {
			s.number = 128
		}
		runSteps(&s, 1, &b.scratch[0])
		runPortable([]step{s}, c)
		if op == opSquare {
			normalize(40, c, func(i int) uint64 { return c[i] })
			normalize(40, b.scratch, func(i int) uint64 { return b.scratch[i] })
			clear(c[600*8 : 620*8])
			clear(b.scratch[600*8 : 620*8])
		}
		for i := range c {
			if c[i] != b.scratch[i] {
				t.Errorf("op %d vector %d lane %d: %x, want %x", op, i/8, i%8, b.scratch[i], c[i])
				break
			}
		}
	}
}
