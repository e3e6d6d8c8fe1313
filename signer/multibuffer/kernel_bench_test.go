package multibuffer

import (
	"testing"
	"unsafe"
)

func BenchmarkKernel(b *testing.B) {
	for op, name := range [...]string{"product", "accumulate", "productPick", "square", "reduce", "add", "subtract", "put", "carry", "trim"} {
		b.Run(name, func(b *testing.B) {
			batch := NewBatch()
			steps := make([]step, 1000)
			for i := range steps {
				steps[i] = step{op: uint32(op), number: 64, dst: batch.program.columns.bytes(), a: batch.program.p.power.bytes(), b: batch.program.p.modulus.bytes(), c: batch.program.twice.bytes()}
				if op == 2 {
					steps[i].b = batch.program.p.table.bytes()
				}
				if op == 4 {
					steps[i].dst, steps[i].a = steps[i].a, steps[i].dst
				}
			}
			for b.Loop() {
				runSteps(unsafe.SliceData(steps), len(steps), unsafe.SliceData(batch.scratch))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/call")
		})
	}
	b.Run("squarings", func(b *testing.B) {
		batch := NewBatch()
		p := program{layout: batch.program.layout}
		for range 500 {
			p.square()
		}
		for b.Loop() {
			runSteps(unsafe.SliceData(p.steps), len(p.steps), unsafe.SliceData(batch.scratch))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/call")
	})
}
