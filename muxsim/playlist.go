package muxsim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// stillsName is the pseudo-rung of Roku's trick-play images.
const stillsName = "stills"

// epoch is when every asset was recorded, and when live streams began: the
// base of EXT-X-PROGRAM-DATE-TIME.
func epoch() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// multivariant renders the playlist behind /{id}.m3u8: what the token decided
// becomes options of the rendition URLs.
func (s *Sim) multivariant(a *admission) string {
	o := s.decide(a)
	rungs := a.object.clip.ladder(a.params["min_resolution"], a.params["max_resolution"])
	if a.params["rendition_order"] == "desc" {
		slices.Reverse(rungs)
	}
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	group := s.writeSubtitles(&b, a, o)
	cdns := []string{""}
	if a.params.flag("redundant_streams") {
		cdns = []string{"a", "b"}
	}
	for _, cdn := range cdns {
		o.cdn = cdn
		for _, r := range rungs {
			fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=%q,RESOLUTION=%dx%d,FRAME-RATE=20.000%s\n",
				r.peak, r.average, codecs, r.width, r.height, group)
			b.WriteString(s.links.link(playlistPath(a.object.ID, r.name), o) + "\n")
		}
	}
	if a.params.flag("roku_trick_play") && !a.object.live() {
		o.cdn = ""
		fmt.Fprintf(&b, "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=16000,RESOLUTION=426x240,CODECS=\"jpeg\",URI=%q\n",
			s.links.link(playlistPath(a.object.ID, stillsName), o))
	}
	return b.String()
}

// decide turns parameters into the options of the rendition playlists.
func (s *Sim) decide(a *admission) options {
	o := options{expires: a.Expires, noPDT: a.params.flag("exclude_pdt")}
	if o.expires == 0 {
		o.expires = s.now().Add(publicLinks).Unix()
	}
	if a.object.live() {
		o.start, o.end = int64(a.params.number("program_start_time", 0)), int64(a.params.number("program_end_time", 0))
		return o
	}
	start, end := a.params.number("asset_start_time", 0), a.params.number("asset_end_time", a.object.clip.seconds)
	o.from, o.to = a.object.clip.rungs[0].window(start, end)
	return o
}

// window returns the segments that overlap [start, end): clips are accurate to
// the segment, not to the frame (mux.md §1.5).
func (r *rung) window(start, end float64) (from, to int) {
	var at float64
	to = len(r.seconds)
	for i, length := range r.seconds {
		if at+length <= start {
			from = i + 1
		}
		if at >= end {
			to = i
			break
		}
		at += length
	}
	return min(from, len(r.seconds)-1), to
}

// ladder returns the rungs between two resolutions, ascending. A bound that no
// rung meets is clamped to the nearest one.
func (c *clip) ladder(least, most string) []*rung {
	rungs := slices.Clone(c.rungs)
	if top := height(most); top > 0 {
		kept := slices.DeleteFunc(slices.Clone(rungs), func(r *rung) bool { return r.height > top })
		if len(kept) == 0 {
			kept = rungs[:1]
		}
		rungs = kept
	}
	bottom := height(least)
	kept := slices.DeleteFunc(slices.Clone(rungs), func(r *rung) bool { return r.height < bottom })
	if len(kept) == 0 {
		kept = rungs[len(rungs)-1:]
	}
	return kept
}

// writeSubtitles lists the tracks and returns the attribute that joins the
// variants to them. Clips that do not begin at the start have none: cues would
// need shifting, which this edge does not do.
func (s *Sim) writeSubtitles(b *strings.Builder, a *admission, o options) string {
	if a.object.live() || o.from > 0 {
		return ""
	}
	chosen := closest(a.params["default_subtitles_lang"])
	for _, t := range tracks() {
		yes := "NO"
		if t.id == chosen {
			yes = "YES"
		}
		fmt.Fprintf(b, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"sub\",NAME=%q,LANGUAGE=%q,AUTOSELECT=YES,DEFAULT=%s,FORCED=NO,URI=%q\n",
			t.name, t.id, yes, s.links.link(playlistPath(a.object.ID, "text-"+t.id), o))
	}
	return ",SUBTITLES=\"sub\""
}

// closest returns the track of the same language, whatever the region.
func closest(language string) string {
	primary, _, _ := strings.Cut(strings.ToLower(language), "-")
	for _, t := range tracks() {
		if t.id == primary {
			return t.id
		}
	}
	return ""
}

// rendition renders a rendition playlist.
func (s *Sim) rendition(a *admission) string {
	name := a.route.name
	switch {
	case strings.HasPrefix(name, "text-"):
		return s.textPlaylist(a)
	case name == stillsName:
		return s.stillsPlaylist(a)
	case a.object.live():
		return s.livePlaylist(a)
	}
	r, _ := a.object.clip.rung(name) // childExists saw it
	o := a.options
	if o.to <= 0 || o.to > len(r.segments) {
		o.to = len(r.segments)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:3\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI=%q\n", s.chunkLink(a, "init.mp4"))
	at := epoch()
	for i, seconds := range r.seconds {
		if i >= o.from && i < o.to {
			s.writeSegment(&b, a, segment{number: i, at: at, seconds: seconds})
		}
		at = at.Add(time.Duration(seconds * float64(time.Second)))
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

type segment struct {
	number  int
	at      time.Time
	seconds float64
}

func (s *Sim) writeSegment(b *strings.Builder, a *admission, one segment) {
	if !a.options.noPDT {
		b.WriteString("#EXT-X-PROGRAM-DATE-TIME:" + one.at.UTC().Format("2006-01-02T15:04:05.000Z07:00") + "\n")
	}
	fmt.Fprintf(b, "#EXTINF:%.5f,\n%s\n", one.seconds, s.chunkLink(a, fmt.Sprintf("%d.m4s", one.number)))
}

// chunkLink signs a segment's URL; segments end when their playlist does.
func (s *Sim) chunkLink(a *admission, file string) string {
	return s.links.link(chunkPath(a.object.ID, a.route.name, file), options{expires: a.options.expires, cdn: a.options.cdn})
}

func (s *Sim) textPlaylist(a *admission) string {
	return fmt.Sprintf("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%.0f\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:%.3f,\n%s\n#EXT-X-ENDLIST\n",
		a.object.clip.seconds, a.object.clip.seconds, s.chunkLink(a, "text.vtt"))
}

func (s *Sim) stillsPlaylist(a *admission) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n", thumbnailStep)
	for i := range a.object.clip.stills {
		fmt.Fprintf(&b, "#EXTINF:%d,\n%s\n", thumbnailStep, s.chunkLink(a, fmt.Sprintf("%d.m4s", i)))
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

// liveWindow is how far back a live stream's playback ID reaches: about 30 s
// (mux.md §6).
const liveWindow = 10 // segments

// livePlaylist renders a sliding window over the clip, looped for ever since
// the epoch. Every loop begins with a discontinuity, because its timestamps
// begin anew.
func (s *Sim) livePlaylist(a *admission) string {
	r, _ := a.object.clip.rung(a.route.name) // childExists saw it
	step := r.seconds[0]
	clock := func(unix int64) int { return int(float64(unix-epoch().Unix()) / step) }
	end := clock(s.now().Unix()) // the first segment that is not complete
	if a.options.end != 0 {
		end = min(end, clock(a.options.end))
	}
	first := max(0, end-liveWindow)
	if a.options.start != 0 {
		first = max(first, clock(a.options.start))
	}
	loop := len(r.segments)
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%.0f\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n#EXT-X-MAP:URI=%q\n",
		step, first, first/loop, s.chunkLink(a, "init.mp4"))
	for n := first; n < end; n++ {
		if n%loop == 0 && n > first {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		at := epoch().Add(time.Duration(float64(n) * step * float64(time.Second)))
		s.writeSegment(&b, a, segment{number: n, at: at, seconds: step})
	}
	return b.String()
}
