package load

import (
	"crypto/rsa"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/playgate/playgate/muxsim"
)

// Ledger remembers every distinct token that was received, by what it was asked
// for and by its exact bytes, and judges them when the load is over. It is safe
// for concurrent use.
type Ledger struct {
	shards [64]ledgerShard
}

type ledgerShard struct {
	mu    sync.Mutex
	pages map[pageKey][]*entry // guarded by mu: newest last
}

// pageKey is what a token was asked for.
type pageKey struct {
	id   uint32
	kind tokenKind
}

// entry is one distinct token.
type entry struct {
	token string
	last  time.Time // when it was received last; it must not have expired by then
	// missed: an answer that was not from the cache has brought it.
	missed bool
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	l := &Ledger{}
	for i := range l.shards {
		l.shards[i].pages = map[pageKey][]*entry{}
	}
	return l
}

// note takes down a received token. missed says that it was not from the cache;
// note returns whether that is the first time for this one.
func (l *Ledger) note(id uint32, c claim, at time.Time, missed bool) (first bool) {
	s := &l.shards[id%uint32(len(l.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	key := pageKey{id, c.kind}
	page := s.pages[key]
	for _, e := range slices.Backward(page) {
		if e.token == string(c.token) {
			first = missed && !e.missed
			e.last, e.missed = at, e.missed || missed
			return first
		}
	}
	s.pages[key] = append(page, &entry{string(c.token), at, missed})
	return missed
}

// Keys are the public keys that tokens may be signed with, by key ID.
type Keys map[string]*rsa.PublicKey

// Verdict is what became of the tokens of a ledger.
type Verdict struct {
	Tokens int            `json:"tokens"` // distinct ones, all verified
	ByKey  map[string]int `json:"by_key"`
}

// Verify judges every token by muxsim's rules, on all cores: would Mux have
// served its URL at the moment when the token was received last? The first that
// it would have refused is an error.
func (l *Ledger) Verify(keys Keys) (Verdict, error) {
	workers := runtime.NumCPU()
	judges := make([]*judge, workers)
	for w := range judges {
		var err error
		if judges[w], err = l.newJudge(keys); err != nil {
			return Verdict{}, err
		}
	}
	verdicts, errs := make([]Verdict, workers), make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			verdicts[w].ByKey = map[string]int{}
			for s := w; s < len(l.shards) && errs[w] == nil; s += workers {
				errs[w] = judges[w].judge(&l.shards[s], &verdicts[w])
			}
		})
	}
	all.Wait()
	sum := Verdict{ByKey: map[string]int{}}
	for w, v := range verdicts {
		if errs[w] != nil {
			return Verdict{}, errs[w]
		}
		sum.Tokens += v.Tokens
		for key, n := range v.ByKey {
			sum.ByKey[key] += n
		}
	}
	return sum, nil
}

// judge is a simulated edge with a clock of its own.
type judge struct {
	sim *muxsim.Sim
	now time.Time
}

func (l *Ledger) newJudge(keys Keys) (*judge, error) {
	j := &judge{}
	environment := muxsim.Environment{ID: "bench", Keys: map[muxsim.KeyID]*rsa.PublicKey{}}
	for id, key := range keys {
		environment.Keys[muxsim.KeyID(id)] = key
	}
	for i := range l.shards {
		for key := range l.shards[i].pages {
			if key.kind == video { // every request has one
				environment.PlaybackIDs = append(environment.PlaybackIDs, muxsim.PlaybackID{
					ID: muxsim.ID(PlaybackID(key.id)), Policy: muxsim.Signed, Asset: muxsim.AssetID(PlaybackID(key.id)),
				})
			}
		}
	}
	var err error
	j.sim, err = muxsim.New(muxsim.Config{Environments: []muxsim.Environment{environment}, Now: func() time.Time { return j.now }})
	if err != nil {
		return nil, fmt.Errorf("making a judge: %w", err)
	}
	return j, nil
}

func (j *judge) judge(s *ledgerShard, v *Verdict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var buffer []byte
	for key, page := range s.pages {
		for _, e := range page {
			j.now = e.last
			buffer = key.kind.url(buffer[:0], key.id, []byte(e.token))
			verdict := j.sim.Verify(string(buffer), nil)
			if !verdict.Allowed() {
				return fmt.Errorf("BAD TOKEN for %s of %s: %s: %s", key.kind, PlaybackID(key.id), verdict.Reason, verdict.Detail)
			}
			v.Tokens++
			v.ByKey[string(verdict.Key)]++
		}
	}
	return nil
}
