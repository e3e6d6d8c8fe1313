package middleware

import "sync"

// endRoom is what the memory for a body has beyond a power of two, bytes: the end
// of a body that is as long as that is seen without more memory.
const endRoom = 4 << 10

// bodySizes are the sizes that the memory for a body grows through once it is
// larger than maxPooledBody, bytes. Steps of four copy a third of a body while it
// grows, where steps of two copy all of it; the last ones are the limits of bodies.
var bodySizes = [...]int{16<<10 + endRoom, 64<<10 + endRoom, 256<<10 + endRoom, 512<<10 + endRoom, 1<<20 + endRoom} //nolint:gochecknoglobals // constant

// bodyMemory has memory of each size that no request uses. Memory that is new for
// each body is zeroed by the kernel and by Go, and collected as garbage: that is
// half of what it takes to read one.
var bodyMemory [len(bodySizes)]sync.Pool //nolint:gochecknoglobals // a pool has no state that anyone can observe

// LargerBody returns the size of the memory that GrowBody moves the body to.
func (x *Exchange) LargerBody() int {
	old := cap(x.Body)
	if old < maxPooledBody {
		return maxPooledBody
	}
	for _, size := range bodySizes {
		if size > old {
			return size
		}
	}
	return 2 * old
}

// GrowBody moves the body to memory of LargerBody bytes.
func (x *Exchange) GrowBody() {
	old := x.Body
	x.Body = append(memoryOf(x.LargerBody()), old...)
	giveBack(old)
}

// memoryOf returns memory of a size, empty.
func memoryOf(size int) []byte {
	for n := range bodySizes {
		if bodySizes[n] != size {
			continue
		}
		if b, ok := bodyMemory[n].Get().(*[]byte); ok {
			return (*b)[:0]
		}
	}
	return make([]byte, 0, size)
}

// giveBack lets others use the memory of a body.
func giveBack(b []byte) {
	for n := range bodySizes {
		if bodySizes[n] == cap(b) {
			bodyMemory[n].Put(&b)
		}
	}
}
