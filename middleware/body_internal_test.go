package middleware

import (
	"bytes"
	"testing"
	"time"
)

// TestALargeBodyKeepsItsBytesWhileItGrows, through every size, also in memory that
// another body has used.
func TestALargeBodyKeepsItsBytesWhileItGrows(t *testing.T) {
	t.Parallel()
	for _, with := range []byte("abc") {
		x := Open(time.Time{})
		for size := 0; size < 3<<20; size = len(x.Body) {
			if larger := x.LargerBody(); larger <= cap(x.Body) {
				t.Fatalf("%d bytes grow to %d", cap(x.Body), larger)
			} else if x.GrowBody(); cap(x.Body) != larger {
				t.Fatalf("a body grew to %d bytes, want %d", cap(x.Body), larger)
			}
			if len(x.Body) != size {
				t.Fatalf("a body of %d bytes has %d after it grew", size, len(x.Body))
			}
			for len(x.Body) < cap(x.Body) {
				x.Body = append(x.Body, with)
			}
		}
		if n := bytes.Count(x.Body, []byte{with}); n != len(x.Body) {
			t.Errorf("%d of %d bytes are what was read", n, len(x.Body))
		}
		x.Close()
	}
}

// TestTheEndOfABodyIsSeenWithoutMoreMemory: bodies are often exactly as large as they
// may be.
func TestTheEndOfABodyIsSeenWithoutMoreMemory(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{16 << 10, 64 << 10, 512 << 10, 1 << 20} {
		x := Open(time.Time{})
		for cap(x.Body) < limit {
			x.GrowBody()
		}
		if cap(x.Body) == limit {
			t.Errorf("the memory for a body of %d bytes has no room for its end", limit)
		}
		x.Close()
	}
}

func TestTheMemoryOfALargeBodyIsUsedAgain(t *testing.T) { //nolint:paralleltest // counts the process's allocations
	body := bytes.Repeat([]byte("x"), 1<<20)
	read := func() {
		x := Open(time.Time{})
		for cap(x.Body) < len(body) {
			x.GrowBody()
		}
		x.Body = append(x.Body, body...)
		x.Close()
	}
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read()
		}
	})
	// New memory of every size would be nearly twice the body. The race detector makes
	// a pool lose a quarter of what it is given, and each collection empties it.
	if each := r.AllocedBytesPerOp(); each > int64(len(body))*3/2 {
		t.Errorf("a body of %d bytes takes %d bytes of new memory, want at most half as much again", len(body), each)
	}
}
