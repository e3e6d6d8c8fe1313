package muxsim_test

import "testing"

func BenchmarkVerify(b *testing.B) {
	e := newEdge(b)
	url := with("/Film.m3u8", good("Film", "v", claims{"max_resolution": "480p"}))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e.Verify(url, nil)
		}
	})
}
