package load

import (
	"math/rand/v2"
	"strconv"
)

// Kind is what a request asks for.
type Kind uint8

// The kinds.
const (
	Token    Kind = iota // GET /v1/playback-ids/{id}/token: one video token, as at a renewal
	Bundle               // POST /v1/tokens for video, thumbnail and storyboard, as at the start of a player
	Redirect             // GET /stream/{id}.m3u8
)

// Request is one request of one viewer for one playback ID.
type Request struct {
	Kind   Kind
	Viewer uint32 // index into Config.Viewers
	ID     uint32 // see PlaybackID
}

// PlaybackID returns the playback ID of an index. No two scenarios on one
// gateway share indices unless they mean the same cache entries.
func PlaybackID(index uint32) string { return string(appendID(nil, index)) }

const idPrefix = "BENCHx00"

func appendID(dst []byte, index uint32) []byte {
	return strconv.AppendUint(append(dst, idPrefix...), uint64(index), 36)
}

// Source says what the request of each place in the schedule is. It is called
// by many goroutines.
type Source func(seq uint64) Request

// Replay returns a source that repeats a list.
func Replay(requests []Request) Source {
	return func(seq uint64) Request { return requests[seq%uint64(len(requests))] }
}

// Hot returns the playback IDs that the first n requests of a source ask for at
// least so often.
func Hot(source Source, n, least int) map[uint32]bool {
	times := map[uint32]int{}
	for seq := range uint64(n) { //nolint:gosec // positive
		times[source(seq).ID]++
	}
	hot := map[uint32]bool{}
	for id, count := range times {
		if count >= least {
			hot[id] = true
		}
	}
	return hot
}

// Fresh returns a source that asks a token of another playback ID each time,
// beginning at first, for one viewer after the other.
func Fresh(first uint32, viewers int) Source {
	return func(seq uint64) Request {
		return Request{Token, uint32(seq % uint64(viewers)), first + uint32(seq)} //nolint:gosec // a run has fewer requests
	}
}

// Each returns a source that asks for every playback ID of a range in turn.
func Each(kind Kind, first uint32, ids, viewers int) Source {
	return func(seq uint64) Request {
		return Request{kind, uint32(seq % uint64(viewers)), first + uint32(seq%uint64(ids))} //nolint:gosec // both are small
	}
}

// Mix takes every nth request from fresh and the others from usual.
func Mix(usual, fresh Source, nth uint64) Source {
	return func(seq uint64) Request {
		if seq%nth == 0 {
			return fresh(seq / nth)
		}
		return usual(seq - seq/nth - 1)
	}
}

// Sessions describe viewers. The same Sessions give the same requests.
type Sessions struct {
	Seed    uint64
	Viewers int
	IDs     int    // playback IDs, by popularity: Zipf with exponent 1.01
	First   uint32 // index of the most popular
	Active  int    // viewers who watch at the same time
}

// Requests returns n requests in the order in which they are sent. A viewer
// comes for a playback ID and asks for a bundle, opens the stream through a
// redirect, renews its token some times (four on average) and leaves; another
// comes in its place. Sessions of Active viewers are interleaved at random.
// Sessions under way when the list begins are in the middle of theirs.
func (s Sessions) Requests(n int) []Request {
	const renewals = 4
	r := rand.New(rand.NewPCG(s.Seed, 0x706c617967617465)) //nolint:gosec // reproducible on purpose
	zipf := rand.NewZipf(r, 1.01, 1, uint64(s.IDs-1))      //nolint:gosec // positive
	type session struct {
		viewer, id uint32
		step       int
	}
	come := func(step int) session {
		return session{uint32(r.IntN(s.Viewers)), s.First + uint32(zipf.Uint64()), step} //nolint:gosec // both fit
	}
	active := make([]session, s.Active)
	for i := range active {
		active[i] = come(r.IntN(2 + renewals))
	}
	requests := make([]Request, n)
	for i := range requests {
		a := &active[r.IntN(len(active))]
		kind := Token
		switch a.step {
		case 0:
			kind = Bundle
		case 1:
			kind = Redirect
		}
		requests[i] = Request{kind, a.viewer, a.id}
		if a.step++; a.step > 2 && r.IntN(renewals) == 0 {
			*a = come(0)
		}
	}
	return requests
}

// Renewals returns n requests for single tokens alone, by viewers and for
// playback IDs as in sessions.
func (s Sessions) Renewals(n int) []Request {
	requests := s.Requests(n)
	for i := range requests {
		requests[i].Kind = Token
	}
	return requests
}
