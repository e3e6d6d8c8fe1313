package catalog

import (
	"hash/maphash"
	"maps"
	"sync/atomic"
)

const (
	firstShards = 16
	// maxPerShard is how many entries a shard has, on average, when the table
	// grows. A change copies its shard, so this bounds what a change costs.
	maxPerShard = 256
	growth      = 4
)

// index finds nodes by a key. Readers take no lock and do not allocate; there
// is one writer at a time. It consists of many small maps, of which none is ever
// written to once readers can see it.
type index[K ~string] struct {
	seed  maphash.Seed
	table atomic.Pointer[[]shard[K]] // the number of shards is a power of two
	count int                        // the writer's
}

type shard[K ~string] struct{ entries atomic.Pointer[map[K]*node] }

func newIndex[K ~string]() *index[K] {
	x := &index[K]{seed: maphash.MakeSeed()}
	table := make([]shard[K], firstShards)
	x.table.Store(&table)
	return x
}

func (x *index[K]) slot(table []shard[K], key K) *shard[K] {
	return &table[maphash.String(x.seed, string(key))&uint64(len(table)-1)] //nolint:gosec // a length
}

// get returns the node of a key, nil if there is none.
func (x *index[K]) get(key K) *node {
	entries := x.slot(*x.table.Load(), key).entries.Load()
	if entries == nil {
		return nil
	}
	return (*entries)[key]
}

// edit begins a change. Readers see nothing of it before commit.
func (x *index[K]) edit() *edit[K] {
	return &edit[K]{index: x, table: *x.table.Load(), own: map[*shard[K]]map[K]*node{}}
}

// edit is a change of an index that is under way.
type edit[K ~string] struct {
	index *index[K]
	table []shard[K]
	own   map[*shard[K]]map[K]*node // copies of shards, which this change may write to
	grown bool                      // table is not the index's own, and nobody reads it yet
}

// entries returns the map of a shard that this change may write to.
func (e *edit[K]) entries(s *shard[K]) map[K]*node {
	if m, ok := e.own[s]; ok {
		return m
	}
	old := s.entries.Load()
	if old != nil && e.grown {
		return *old
	}
	m := map[K]*node{}
	if old != nil {
		m = make(map[K]*node, len(*old)+1)
		maps.Copy(m, *old)
	}
	if e.grown {
		s.entries.Store(&m)
	} else {
		e.own[s] = m
	}
	return m
}

func (e *edit[K]) get(key K) *node {
	s := e.index.slot(e.table, key)
	if m, ok := e.own[s]; ok {
		return m[key]
	}
	if m := s.entries.Load(); m != nil {
		return (*m)[key]
	}
	return nil
}

func (e *edit[K]) put(key K, n *node) {
	m := e.entries(e.index.slot(e.table, key))
	before := len(m)
	m[key] = n
	e.index.count += len(m) - before
	if e.index.count > maxPerShard*len(e.table) {
		e.grow()
	}
}

func (e *edit[K]) remove(key K) {
	m := e.entries(e.index.slot(e.table, key))
	before := len(m)
	delete(m, key)
	e.index.count += len(m) - before
}

// grow moves everything to a larger table.
func (e *edit[K]) grow() {
	larger := make([]shard[K], growth*len(e.table))
	for i := range e.table {
		s := &e.table[i]
		m := e.own[s]
		if m == nil {
			old := s.entries.Load()
			if old == nil {
				continue
			}
			m = *old
		}
		for key, n := range m {
			to := &e.index.slot(larger, key).entries
			if to.Load() == nil {
				to.Store(&map[K]*node{})
			}
			(*to.Load())[key] = n
		}
	}
	e.table, e.own, e.grown = larger, nil, true
}

// commit shows the change to readers: shard by shard, or all at once where the
// table has grown.
func (e *edit[K]) commit() {
	if e.grown {
		e.index.table.Store(&e.table)
		return
	}
	for s, m := range e.own {
		s.entries.Store(&m)
	}
}

// each calls yield with every node, until it returns false.
func (x *index[K]) each(yield func(*node) bool) {
	x.all(func(_ K, n *node) bool { return yield(n) })
}

// all calls yield with every key and its node, until it returns false.
func (x *index[K]) all(yield func(K, *node) bool) {
	table := *x.table.Load()
	for i := range table {
		entries := table[i].entries.Load()
		if entries == nil {
			continue
		}
		for key, n := range *entries {
			if !yield(key, n) {
				return
			}
		}
	}
}
