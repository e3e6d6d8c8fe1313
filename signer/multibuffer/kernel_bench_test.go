package multibuffer

import "testing"

// What most of a signature's time goes to: both primes' squarings, and reductions alone.
func BenchmarkSquarings(b *testing.B) {
	benchmarkSteps(b, func(p *program) { p.square() })
}

func BenchmarkReductions(b *testing.B) {
	benchmarkSteps(b, func(p *program) {
		for _, f := range p.primes() {
			p.reduce(f.power, f, p.other(f).power)
		}
	})
}

func BenchmarkPicks(b *testing.B) {
	benchmarkSteps(b, func(p *program) {
		for _, f := range p.primes() {
			p.multiplyPicked(f, 0)
			p.reduce(f.power, f, p.other(f).power)
		}
	})
}

func benchmarkSteps(b *testing.B, emit func(*program)) {
	b.Helper()
	if err := Supported(); err != nil {
		b.Skip(err)
	}
	p := &program{layout: newLayout()}
	for range 500 {
		emit(p)
	}
	scratch := NewBatch().scratch
	for b.Loop() {
		runAssembly(p.steps, scratch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/prime")
}
