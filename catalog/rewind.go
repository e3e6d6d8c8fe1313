package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

const (
	backBatch   = 200 // objects that are written back in one transaction
	backBatches = 10  // transactions of one WriteBack
)

// Rewind tells of a store that went back to an earlier state while it was
// followed: a backup was restored, or a server took over that was behind. What was
// written in between is lost, but for what the Library has of the catalogue.
type Rewind struct {
	Count  int       // how often it was found
	At     time.Time // when it was last reported; zero: not yet
	Missed int64     // the last Object.Seq that was seen before
	Found  int64     // that of the state that was found
	Owed   int       // how many objects are written back to it

	reported int // Count at the last report
}

// Rewind returns how often the store went back, and what is known of the last
// time.
func (l *Library) Rewind() Rewind {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rewind
}

// report logs a rewind that was found since the last report.
func (l *Library) report(log *slog.Logger, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.rewind
	if r.Count == r.reported {
		return
	}
	r.reported, r.At = r.Count, now
	for _, live := range l.lives {
		live.rewound.Store(now.UnixMicro())
	}
	log.Error("the store went back to an earlier state: what was written since is lost, but for what this process knows of the catalogue and of the signing keys' expiries",
		"seen", r.Missed, "found", r.Found, "objects_to_write_back", r.Owed)
}

// reconcile takes over a store whose history is not the one that was followed.
// Merge decides between what it has and what is known, and what is known and
// better is owed to it: what was acknowledged stays in force, and comes back. A
// reader never sees less than before. l.mu is held.
func (l *Library) reconcile(ctx context.Context, latest store.Checkpoint, became store.Continuity) error {
	l.torn = true // the nodes' seq are no longer those of one history
	work := make(map[playback.EnvironmentID]*reconciliation, len(l.lives))
	for env, live := range l.lives {
		work[env] = live.reconcile()
	}
	err := l.changes(ctx, span{upTo: latest.Seq}, func(o *store.Object) {
		if r := work[o.Environment]; r != nil {
			r.take(o)
		}
	})
	var owed []store.Object
	for _, r := range work {
		if err == nil {
			owed = append(owed, r.lacking()...)
		}
		r.end()
	}
	if err != nil {
		return fmt.Errorf("reading a store anew: %w", err)
	}
	if became == store.Rewound {
		l.rewind.Count++
		l.rewind.Missed, l.rewind.Found, l.rewind.Owed = l.seen.Seq, latest.Seq, len(owed)
	}
	l.seen, l.owed, l.torn = latest, owed, false
	return nil
}

// WriteBack gives a store that went back some of what is owed to it: others who
// follow or write do not wait until it has all.
func (l *Library) WriteBack(ctx context.Context) error {
	for range backBatches {
		batch := l.nextOwed()
		if len(batch) == 0 {
			return nil
		}
		if _, _, err := l.store.Apply(ctx, nil, batch, joinTied); err != nil {
			return fmt.Errorf("writing back what the store has lost: %w", err)
		}
		l.settled(batch)
	}
	return nil
}

func (l *Library) nextOwed() []store.Object {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owed[:min(len(l.owed), backBatch)]
}

// settled takes a batch from what is owed, unless the store went back once more
// and other things are owed to it.
func (l *Library) settled(batch []store.Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.owed) > 0 && &l.owed[0] == &batch[0] {
		l.owed = l.owed[len(batch):]
	}
	if len(l.owed) == 0 {
		l.owed = nil
	}
}

// reconciliation compares a Live with all that a store has of its environment.
type reconciliation struct {
	*change

	// Known to be gone and to be deleted, not found in the store as such.
	gone    map[playback.ID]struct{}
	deleted map[target]struct{}
	owed    []store.Object
}

// reconcile begins a reconciliation; end ends it.
func (l *Live) reconcile() *reconciliation {
	r := &reconciliation{change: l.begin(), gone: map[playback.ID]struct{}{}}
	r.deleted = maps.Clone(l.deleted)
	unseen := func(n *node) bool { n.seq = 0; return true }
	l.assets.each(unseen)
	l.streams.each(unseen)
	l.pids.all(func(id playback.ID, n *node) bool {
		if n == l.gone {
			r.gone[id] = struct{}{}
		}
		return true
	})
	return r
}

// take compares one object.
func (r *reconciliation) take(o *store.Object) {
	if o.Kind == store.PlaybackID {
		delete(r.gone, playback.ID(o.ID))
		r.apply(o)
		return
	}
	if o.Deleted {
		delete(r.deleted, target{o.Kind, o.ID})
	} else if _, deleted := r.deleted[target{o.Kind, o.ID}]; deleted {
		return // lacking has it
	}
	n := r.get(o.Kind, o.ID)
	if n == nil {
		r.apply(o)
		return
	}
	known := n.record(r.live.env)
	kept, gone := store.Merge(o, &known, joinTied)
	if kept != nil || len(gone) > 0 {
		r.owed = append(r.owed, known)
	}
	if kept == nil {
		r.apply(o)
	}
	n.seq = o.Seq // found, whether n is still the object's node or not
}

// lacking returns what the store does not have, once it was read.
func (r *reconciliation) lacking() []store.Object {
	unseen := func(n *node) bool {
		if n.seq == 0 {
			r.owed = append(r.owed, n.record(r.live.env))
		}
		return true
	}
	r.live.assets.each(unseen)
	r.live.streams.each(unseen)
	for t := range r.deleted {
		r.owed = append(r.owed, store.Object{Environment: r.live.env, Kind: t.kind, ID: t.id, Deleted: true})
	}
	for id := range r.gone {
		r.owed = append(r.owed, store.Object{Environment: r.live.env, Kind: store.PlaybackID, ID: string(id), Deleted: true})
	}
	return r.owed
}

// record returns a node as it is stored.
func (n *node) record(env playback.EnvironmentID) store.Object {
	return store.Object{
		Environment: env, Kind: n.kind(), ID: n.id, Version: n.version.Load(),
		PlaybackIDs: slices.Collect(n.playbackIDs), Data: []byte(n.data),
	}
}
