package multibuffer

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// number makes a number of 64-bit words.
func number(words int, word func(i int) uint64) *big.Int {
	n := new(big.Int)
	for i := range words {
		n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(word(i)))
	}
	return n
}

// toNumber returns the value of a lane's columns.
func toNumber(vectors []uint64, lane, n int) *big.Int {
	sum := new(big.Int)
	for i := n - 1; i >= 0; i-- {
		sum.Lsh(sum, radix)
		sum.Add(sum, big.NewInt(int64(vectors[i*Lanes+lane]))) // columns are signed
	}
	return sum
}

// setNumber writes a number's digits into a lane.
func setNumber(vectors []uint64, lane int, x *big.Int) {
	bytes := x.FillBytes(make([]byte, digits*radix/8))
	d := make([]uint64, digits)
	toDigits(d, bytes, radix)
	for i, digit := range d {
		vectors[i*Lanes+lane] = digit
	}
}

// operands are 20 digits at their borders.
func operands(rng *rand.Rand) []*big.Int {
	one := big.NewInt(1)
	all := new(big.Int).Lsh(one, digits*radix)
	out := []*big.Int{new(big.Int), one, new(big.Int).Sub(all, one), new(big.Int).Rsh(all, 1), new(big.Int).Lsh(one, 520)}
	for _, ones := range []int{1, 5, 10, 15, 19} { // a carry through so many digits
		low := new(big.Int).Sub(new(big.Int).Lsh(one, uint(ones*radix)), one)
		out = append(out, low, new(big.Int).Sub(new(big.Int).Sub(all, one), low))
	}
	for range 32 {
		out = append(out, new(big.Int).Rsh(number(17, func(int) uint64 { return rng.Uint64() }), 48))
	}
	return out
}

// moduli are odd numbers of 1024 bits at their borders.
func moduli(rng *rand.Rand) []*big.Int {
	one := big.NewInt(1)
	top := new(big.Int).Lsh(one, 1023)
	out := []*big.Int{
		new(big.Int).Sub(new(big.Int).Lsh(one, 1024), one),
		new(big.Int).Add(top, one),
		new(big.Int).Sub(new(big.Int).Lsh(one, 1024), new(big.Int).Add(new(big.Int).Lsh(one, 780), one)),
		new(big.Int).Add(top, new(big.Int).Sub(new(big.Int).Lsh(one, 780), one)),
		new(big.Int).Add(top, new(big.Int).Sub(new(big.Int).Lsh(one, 520), one)),
	}
	for range 16 {
		m := number(16, func(int) uint64 { return rng.Uint64() })
		out = append(out, m.SetBit(m.SetBit(m, 0, 1), 1023, 1))
	}
	return out
}

// bench is scratch for one kernel.
type bench struct {
	*testing.T

	scratch []uint64
}

const ( // places on the bench
	atA, atB, atC = place(0), place(100), place(200)
	atOut         = place(300)
	atTable       = place(420)
	atSettled     = place(800)
)

func (b *bench) vectors(p place) []uint64 { return b.scratch[int(p)*Lanes:] }

// run carries out a step in assembly and in Go, and fails if the values of the
// columns of any of the results differ.
func (b *bench) run(s step, results map[place]int) {
	b.Helper()
	s.a, s.b, s.c = atA.bytes(), atB.bytes(), atC.bytes()
	if s.op == opProductPick {
		s.b = atTable.bytes()
	}
	s.dst = atOut.bytes()
	other := slices.Clone(b.scratch)
	runSupported([]step{s}, b.scratch)
	runPortable([]step{s}, other)
	for p, n := range results {
		for lane := range Lanes {
			got, want := toNumber(b.vectors(p), lane, n), toNumber(other[int(p)*Lanes:], lane, n)
			if got.Cmp(want) != 0 {
				b.Fatalf("kernel %d, lane %d, vectors from %d: %x in assembly, %x in Go", s.op, lane, p, got, want)
			}
		}
	}
}

func newBench(t *testing.T) (*bench, *rand.Rand) {
	t.Helper()
	if err := Supported(); err != nil {
		t.Logf("the assembly is NOT TESTED here: %v", err)
	}
	rng := rand.New(rand.NewPCG(1, 2)) // the same each time
	aligned := NewBatch().scratch
	return &bench{T: t, scratch: aligned}, rng
}

func TestProductsAndSquares(t *testing.T) {
	t.Parallel()
	b, rng := newBench(t)
	numbers := operands(rng)
	for i := 0; i < len(numbers)*len(numbers); i += Lanes {
		var x, y [Lanes]*big.Int
		for lane := range Lanes {
			k := (i + lane) % (len(numbers) * len(numbers))
			x[lane], y[lane] = numbers[k%len(numbers)], numbers[k/len(numbers)]
			setNumber(b.vectors(atA), lane, x[lane])
			setNumber(b.vectors(atB), lane, y[lane])
		}
		b.run(step{op: opProduct}, map[place]int{atOut: 2 * digits})
		for lane := range Lanes {
			if want := new(big.Int).Mul(x[lane], y[lane]); toNumber(b.vectors(atOut), lane, 2*digits).Cmp(want) != 0 {
				t.Fatalf("%x·%x is wrong", x[lane], y[lane])
			}
		}
		b.run(step{op: opAccumulate}, map[place]int{atOut: 2 * digits})
		b.run(step{op: opSquare}, map[place]int{atOut: 2 * digits})
		for lane := range Lanes {
			if want := new(big.Int).Mul(x[lane], x[lane]); toNumber(b.vectors(atOut), lane, 2*digits).Cmp(want) != 0 {
				t.Fatalf("%x² is wrong", x[lane])
			}
		}
	}
}

// A table's entry is chosen in each lane by its own number.
func TestPickedProducts(t *testing.T) {
	t.Parallel()
	b, rng := newBench(t)
	table := b.vectors(atTable)[:digits*entries*Lanes]
	for i := range table {
		table[i] = rng.Uint64() & mask52
	}
	selected := b.vectors(atTable - digits)[:digits*Lanes]
	for i := range 13 * entries {
		for lane := range Lanes {
			setNumber(b.vectors(atA), lane, operands(rng)[rng.IntN(20)])
			b.vectors(atC)[lane] = rng.Uint64()
			if i < entries {
				b.vectors(atC)[lane] = uint64((i + lane) % entries << window)
			}
		}
		copy(b.vectors(atOut+selectedAt), selected) // by the step before
		b.run(step{op: opProductPick, number: uint32(i/entries*window + window)}, map[place]int{atOut: 2 * digits, atTable - digits: digits})
	}
}

func TestReductions(t *testing.T) {
	t.Parallel()
	b, rng := newBench(t)
	numbers, all := operands(rng), moduli(rng)
	for i := range 4 * len(numbers) {
		var m, product [Lanes]*big.Int
		for lane := range Lanes {
			m[lane] = all[(i+lane)%len(all)]
			setModulus(b.vectors(atB), lane, m[lane])
			x, y := numbers[(i*7+lane)%len(numbers)], numbers[(i+3*lane)%len(numbers)]
			if i%3 == 0 {
				x, y = new(big.Int).Sub(m[lane], big.NewInt(1)), x
			}
			setNumber(b.vectors(atC), lane, x)
			setNumber(b.vectors(atOut), lane, y)
			product[lane] = new(big.Int).Mul(x, y)
		}
		columns := make([]uint64, 2*digits*Lanes) // not carried, as a product leaves them
		accumulate(columns, b.vectors(atC), b.vectors(atOut))
		copy(b.vectors(atA), columns)
		raw := b.raw(rng)
		kept := slices.Clone(b.scratch)
		b.run(step{op: opReduce, number: atSettled.bytes()}, map[place]int{atOut: digits, atC: half, atSettled: digits})
		b.isReduced(product, m, 2, digits)
		b.isSettled(raw)
		copy(b.scratch, kept)
		b.run(step{op: opDivide, number: atSettled.bytes()}, map[place]int{atOut: digits, atC: half, atSettled: digits})
		for lane := range Lanes { // of the lower 30 columns
			product[lane] = toNumber(columns, lane, half+digits)
		}
		b.isReduced(product, m, 1, half)
		b.isSettled(raw)
	}
}

// isReduced fails unless the output is x divided by 2^(52·by) mod m, and less than so
// many times m above x/2^(52·by).
func (b *bench) isReduced(x, m [Lanes]*big.Int, times int64, by uint) {
	b.Helper()
	for lane := range Lanes {
		got := toNumber(b.vectors(atOut), lane, digits)
		back := new(big.Int).Lsh(got, by*radix)
		if new(big.Int).Mod(back.Sub(back, x[lane]), m[lane]).Sign() != 0 {
			b.Fatalf("%x reduced mod %x is %x", x[lane], m[lane], got)
		}
		most := new(big.Int).Mul(m[lane], big.NewInt(times))
		if got.Cmp(most.Add(most, new(big.Int).Rsh(x[lane], by*radix))) > 0 {
			b.Fatalf("%x reduced mod %x is %x, which is too large", x[lane], m[lane], got)
		}
	}
}

// raw sets what is to be settled to columns of numbers that are not negative, and
// returns the numbers.
func (b *bench) raw(rng *rand.Rand) (numbers [Lanes]*big.Int) {
	b.Helper()
	columns := b.vectors(atSettled)
	for i := range digits * Lanes {
		columns[i] = rng.Uint64() >> 4
		if i/Lanes < digits-1 && rng.IntN(2) == 0 {
			columns[i] = -columns[i] >> rng.IntN(2) << rng.IntN(2)
		}
	}
	for lane := range Lanes {
		numbers[lane] = toNumber(columns, lane, digits)
	}
	return numbers
}

// isSettled fails unless the columns are the numbers' digits.
func (b *bench) isSettled(numbers [Lanes]*big.Int) {
	b.Helper()
	columns := b.vectors(atSettled)
	for lane := range Lanes {
		if toNumber(columns, lane, digits).Cmp(numbers[lane]) != 0 {
			b.Fatalf("lane %d: carrying changed the value", lane)
		}
		for i := range digits - 1 {
			if columns[i*Lanes+lane] > mask52 {
				b.Fatalf("lane %d: column %d is %x and not a digit", lane, i, columns[i*Lanes+lane])
			}
		}
	}
}

// setModulus writes a modulus as reduce takes it.
func setModulus(vectors []uint64, lane int, m *big.Int) {
	w := writer{make([]uint64, modulusSize)}
	bytes := m.FillBytes(make([]byte, primeSize))
	w.modulus(bytes)
	for i, word := range w.left {
		vectors[i*Lanes+lane] = word
	}
}

// The small kernels agree with their twins for whatever digits.
func TestSmallKernels(t *testing.T) {
	t.Parallel()
	b, rng := newBench(t)
	kernels := map[uint32]int{opAdd: digits, opPut: digits, opCarry: 2 * digits, opTrim: 2 * digits, opSubtract: digits}
	for op, n := range kernels {
		for i := range 64 {
			for j := range 300 * Lanes {
				b.scratch[j] = rng.Uint64() & mask52
				if i%4 == 0 {
					b.scratch[j] = []uint64{0, mask52}[rng.IntN(2)]
				}
			}
			switch op {
			case opSubtract: // not less than nothing
				for lane := range Lanes {
					b.vectors(atA)[(digits-1)*Lanes+lane] += 1 << radix
				}
			case opCarry:
				for j := range 2 * digits * Lanes {
					b.vectors(atA)[j] = rng.Uint64() >> 2
				}
			case opTrim:
				if i%3 == 0 { // equal, or almost
					copy(b.vectors(atA)[:2*digits*Lanes], b.vectors(atB))
					b.vectors(atA)[i%Lanes] ^= 1
				}
			}
			b.run(step{op: op, number: vectorBytes}, map[place]int{atOut: n})
		}
	}
}

func TestRadixesAndInverses(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for i, m := range moduli(rng) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			bytes := m.FillBytes(make([]byte, primeSize))
			want := new(big.Int).Lsh(big.NewInt(1), 2*digits*radix)
			if got := new(big.Int).SetBytes(octets(squaredRadix(words(bytes), digits))); got.Cmp(want.Mod(want, m)) != 0 {
				t.Errorf("R² mod %x = %x, want %x", m, got, want)
			}
			folded := new(big.Int).SetBytes(octets(halved(words(bytes), half*radix)))
			if folded.Cmp(m) >= 0 || new(big.Int).Mod(folded.Lsh(folded, half*radix), m).Cmp(big.NewInt(1)) != 0 {
				t.Errorf("1/2^520 mod %x = %x", m, folded)
			}
			if got := negatedInverse(lowWord(bytes)) * lowWord(bytes) & mask52; got != mask52 {
				t.Errorf("-1/m·m = %x mod 2^52, want -1", got)
			}
		})
	}
}
