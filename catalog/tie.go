package catalog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

// Mux's webhooks and the Date of its answers have whole seconds (mux.md §7), so
// two reports of one object may have the same time and disagree. Nobody can tell
// which of them is the later one. Until Mux was asked again, the stricter state
// counts, with the playback IDs of both.

// tiedMark begins the stored description of an object whose reports disagree.
const tiedMark = `{"tied":true`

// isTied reports whether a stored description joins reports that disagree.
func isTied(data string) bool { return strings.HasPrefix(data, tiedMark) }

// joinTied is the catalogue's store.Join.
func joinTied(a, b *store.Object) store.Object {
	x, y := parse(string(a.Data)), parse(string(b.Data))
	joined := store.Object{Kind: b.Kind}
	playbackIDs, sameIDs := joinPlaybackIDs(playbackIDsOf(a, &x), playbackIDsOf(b, &y))
	tied := x.Tied || y.Tied || !sameIDs
	x.Tied, y.Tied, x.Policies, y.Policies = false, false, nil, nil
	first, second := mustMarshal(&x), mustMarshal(&y)
	tied = tied || !bytes.Equal(first, second)
	kept := x
	if cmp.Or(cmp.Compare(strictness(b.Kind, y.Status), strictness(b.Kind, x.Status)), bytes.Compare(second, first)) > 0 {
		kept = y
	}
	kept.Tied = tied
	for _, p := range playbackIDs {
		joined.PlaybackIDs, kept.Policies = append(joined.PlaybackIDs, p.id), append(kept.Policies, p.policy)
	}
	joined.Data = mustMarshal(&kept)
	return joined
}

// mustMarshal writes a description that was read from JSON, so it can be
// written.
func mustMarshal(d *description) []byte {
	data, err := json.Marshal(d)
	if err != nil {
		panic("catalog: writing a description: " + err.Error())
	}
	return data
}

// strictness orders the states of an object: the more a state refuses, the later
// it comes. An asset that was ready does not prepare again, so ready is the later
// of those two. What is not listed refuses nothing.
func strictness(kind store.Kind, status string) int {
	order := [...]string{playback.AssetPreparing, playback.AssetReady, playback.AssetErrored}
	if kind == store.LiveStream {
		order = [...]string{playback.LiveStreamActive, playback.LiveStreamIdle, playback.LiveStreamDisabled}
	}
	return slices.Index(order[:], status)
}

// listedID is a playback ID as a report lists it.
type listedID struct {
	id     playback.ID
	policy playback.Policy
}

func playbackIDsOf(o *store.Object, d *description) []listedID {
	list := make([]listedID, 0, len(o.PlaybackIDs))
	for i, id := range o.PlaybackIDs[:min(len(o.PlaybackIDs), len(d.Policies))] {
		list = append(list, listedID{id, d.Policies[i]})
	}
	return list
}

// joinPlaybackIDs returns the playback IDs that either list has. Lists that are
// the same keep their order, which chooses among an asset's playback IDs; others
// have none in common, so theirs is that of the IDs. Should the lists disagree
// about a policy, the stricter one counts.
func joinPlaybackIDs(a, b []listedID) (joined []listedID, same bool) {
	if slices.Equal(a, b) {
		return a, true
	}
	policies := [...]playback.Policy{playback.PolicyPublic, playback.PolicySigned, playback.PolicyDRM}
	joined = slices.Concat(a, b)
	slices.SortFunc(joined, func(x, y listedID) int {
		return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(slices.Index(policies[:], y.policy), slices.Index(policies[:], x.policy)))
	})
	return slices.CompactFunc(joined, func(x, y listedID) bool { return x.id == y.id }), false
}
