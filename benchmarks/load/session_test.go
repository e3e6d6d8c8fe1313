package load_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/benchmarks/load"
)

func TestTheSameSessionsGiveTheSameRequests(t *testing.T) {
	t.Parallel()
	s := load.Sessions{Seed: 1, Viewers: 1000, IDs: 500, Active: 100}
	first := s.Requests(10_000)
	if diff := cmp.Diff(first, s.Requests(10_000)); diff != "" {
		t.Errorf("a second time (-first +second):\n%.500s", diff)
	}
	s.Seed = 2
	if slices.Equal(first, s.Requests(10_000)) {
		t.Error("another seed gives the same requests")
	}
}

func TestViewersComeRenewAndLeave(t *testing.T) {
	t.Parallel()
	const n = 200_000
	s := load.Sessions{Seed: 1, Viewers: 1000, IDs: 500, First: 7000, Active: 100}
	kinds, ids, viewers := map[load.Kind]int{}, map[uint32]int{}, map[uint32]bool{}
	for _, r := range s.Requests(n) {
		kinds[r.Kind]++
		ids[r.ID]++
		viewers[r.Viewer] = true
	}
	// A session is a bundle, a redirect and on average four renewals.
	for kind, share := range map[load.Kind]float64{load.Bundle: 1. / 6, load.Redirect: 1. / 6, load.Token: 4. / 6} {
		if got := float64(kinds[kind]) / n; got < 0.9*share || got > 1.1*share {
			t.Errorf("%.3f of the requests are of kind %d, want about %.3f", got, kind, share)
		}
	}
	if len(viewers) < 990 || len(ids) < 490 || ids[6999]+ids[7500] > 0 {
		t.Errorf("%d of 1000 viewers, %d of 500 playback IDs came", len(viewers), len(ids))
	}
	// Zipf's law with an exponent near 1: the second is asked for half as often.
	if ratio := float64(ids[7001]) / float64(ids[7000]); ratio < 0.4 || ratio > 0.6 {
		t.Errorf("the second playback ID is asked for %.2f times as often as the first", ratio)
	}
}

func TestEveryFreshRequestIsForAnotherPlaybackID(t *testing.T) {
	t.Parallel()
	source := load.Mix(load.Each(load.Token, 0, 10, 5), load.Fresh(1000, 5), 20)
	seen, old := map[uint32]bool{}, 0
	for seq := range uint64(2000) {
		switch r := source(seq); {
		case r.ID < 10:
			old++
		case seen[r.ID]:
			t.Fatalf("playback ID %d twice", r.ID)
		default:
			seen[r.ID] = true
		}
	}
	if len(seen) != 100 || old != 1900 {
		t.Errorf("%d fresh among %d others, want 100 among 1900", len(seen), old)
	}
}

func TestWhatIsAskedForOftenIsHot(t *testing.T) {
	t.Parallel()
	list := []load.Request{{ID: 1}, {ID: 2}, {ID: 2}, {ID: 3}, {ID: 3}, {ID: 3}}
	source := load.Choose(load.Replay(list), []uint32{0, 10, 20, 30})
	if diff := cmp.Diff(map[uint32]bool{20: true, 30: true}, load.Hot(source, len(list), 2)); diff != "" {
		t.Errorf("asked for twice (-want +got):\n%s", diff)
	}
	if got := load.Hot(source, len(list), 4); len(got) != 0 {
		t.Errorf("%v are asked for four times", got)
	}
}
