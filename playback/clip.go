package playback

import "fmt"

// Clip is the part of a video that a grant's forced clip bounds leave, for what
// shows pictures of it: GIFs, thumbnails and storyboards (contract §4).
type Clip struct {
	asset   span // in seconds of the asset
	program span // in Unix seconds of the broadcast
}

// span is a part of a timeline with both its ends. A Param without a name is no
// bound.
type span struct{ start, end Param }

func (s *span) bounded() bool { return s.start.Name != "" || s.end.Name != "" }

// contains reports whether the value is within the bounds, which themselves are.
func (s *span) contains(at float64) bool {
	return (s.start.Name == "" || at >= s.start.Number()) && (s.end.Name == "" || at <= s.end.Number())
}

// clipOf returns the clip that the forced parameters leave: the video's bounds
// and, where it has none, the storyboard's.
func clipOf(forced *[TokenTypes]Params) Clip {
	bound := func(name string) Param {
		p, ok := forced[Video].Get(name)
		if !ok {
			p, _ = forced[Storyboard].Get(name)
		}
		return p
	}
	return Clip{
		asset:   span{bound("asset_start_time"), bound("asset_end_time")},
		program: span{bound("program_start_time"), bound("program_end_time")},
	}
}

func (c *Clip) bounded() bool { return c.asset.bounded() || c.program.bounded() }

// closes reports whether no token of the type can be kept within the clip,
// where moment says whether the document forces which moment it shows. GIFs have
// no parameter in program time, and a thumbnail has one moment, which cannot be
// compared with bounds of both timelines.
func (c *Clip) closes(t TokenType, moment bool) bool {
	switch t {
	case GIF:
		short := c.asset.end.Name != "" && c.asset.end.Number()-c.asset.start.Number() < shortestGIF-rounding
		return !moment && (c.program.bounded() || short)
	case Thumbnail:
		return !moment && c.program.bounded() && c.asset.bounded()
	case Video, Storyboard, DRMLicense, Stats, StatsAsset, StatsLiveStream, StatsVideo, TokenTypes:
	}
	return false
}

// forcesMoment reports whether the parameters say which part of the video a
// GIF, or which moment of it a thumbnail shows.
func forcesMoment(t TokenType, ps Params) bool {
	if t == GIF {
		_, ok := ps.Get("start")
		return ok
	}
	_, time := ps.Get("time")
	_, program := ps.Get("program_time")
	return time || program
}

// admits says why a parameter that is sent and not forced cannot be chosen
// beside the clip: it shows what is outside, or could.
func (c *Clip) admits(t TokenType, p Param) *Error {
	switch {
	case !c.bounded():
		return nil
	case t == Video || t == Storyboard:
		if IsClipBound(p.Name) {
			return notGranted(p.Name, "cannot be chosen here")
		}
		return nil
	case !showsMoment(t, p.Name):
		return nil
	case p.Name == "latest":
		return notGranted(p.Name, "is not available within the part of the video that is granted")
	}
	own, other := &c.asset, &c.program
	if p.Name == "program_time" {
		own, other = other, own
	}
	if other.bounded() { // what the one timeline is on the other, only Mux knows
		return notGranted(p.Name, "cannot be chosen here")
	}
	return c.within(t, p, own)
}

// showsMoment reports whether the parameter says what a picture shows.
func showsMoment(t TokenType, name string) bool {
	switch name {
	case "time", "program_time", "latest":
		return t == Thumbnail
	case "start", "end":
		return t == GIF
	}
	return false
}

// contradicts says why a parameter that is forced contradicts the clip. One on
// the other timeline is left to whoever wrote the document.
func (c *Clip) contradicts(t TokenType, p Param) *Error {
	switch {
	case !showsMoment(t, p.Name) || !c.bounded():
		return nil
	case p.Name == "latest":
		if p.JSON == "true" {
			return notGranted(p.Name, "shows what is outside of the clip that is forced")
		}
		return nil
	case p.Name == "program_time":
		return c.within(t, p, &c.program)
	}
	return c.within(t, p, &c.asset)
}

// within checks a moment against the bounds of its own timeline. A GIF's start
// must leave room for the shortest before the bound, and its end after it.
func (c *Clip) within(t TokenType, p Param, s *span) *Error {
	least, most := p.Number(), p.Number()
	switch {
	case t == GIF && p.Name == "start":
		most += shortestGIF - rounding
	case t == GIF:
		least -= shortestGIF - rounding
	}
	if s.contains(p.Number()) && s.contains(least) && s.contains(most) {
		return nil
	}
	return notGranted(p.Name, "is outside of the part of the video that is granted: want "+s.String())
}

// String returns "20 to 60" and, with one bound, "at least 20".
func (s *span) String() string {
	switch {
	case s.start.Name == "":
		return fmt.Sprintf("at most %s", s.end.JSON)
	case s.end.Name == "":
		return fmt.Sprintf("at least %s", s.start.JSON)
	}
	return fmt.Sprintf("%s to %s", s.start.JSON, s.end.JSON)
}

func notGranted(name, problem string) *Error {
	return Errorf(CodeParamNotGranted, "%s: %s", name, problem)
}

// complete adds to a token's parameters what keeps it within the clip: to a
// storyboard the bounds, to a GIF and a thumbnail the clip's start, where they
// say nothing else.
func (c *Clip) complete(t TokenType, ps Params) Params {
	switch {
	case !c.bounded():
	case t == Storyboard:
		for _, bound := range [...]Param{c.asset.start, c.asset.end, c.program.start, c.program.end} {
			if _, ok := ps.Get(bound.Name); !ok && bound.Name != "" {
				ps = ps.With(bound)
			}
		}
	case t == GIF:
		return c.completeGIF(ps)
	case t == Thumbnail && !forcesMoment(t, ps):
		if c.program.start.Name != "" {
			return ps.With(Param{"program_time", c.program.start.JSON})
		}
		return ps.With(Param{"time", c.asset.first()})
	}
	return ps
}

// completeGIF begins a GIF with the clip, and ends one that would go on for
// Mux's default length, or for the longest where that begins later, with it.
func (c *Clip) completeGIF(ps Params) Params {
	if _, ok := ps.Get("start"); !ok {
		ps = ps.With(Param{"start", c.asset.first()})
	}
	start, _ := ps.number("start")
	if _, ok := ps.Get("end"); !ok && c.asset.end.Name != "" && start+defaultGIF > c.asset.end.Number() {
		ps = ps.With(Param{"end", c.asset.end.JSON})
	}
	return ps
}

// first returns where the clip begins.
func (s *span) first() string {
	if s.start.Name == "" {
		return "0"
	}
	return s.start.JSON
}
