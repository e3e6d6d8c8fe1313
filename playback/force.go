package playback

// Force sets the parameters that the grant forces. problems says, by type, what
// is contradictory about them.
func (g *Grant) Force(params [TokenTypes]Params) (problems [TokenTypes]*Error) {
	g.forced, g.clip, g.closed = params, clipOf(&params), 0
	for t := range TokenTypes {
		g.implied[t] = g.clip.complete(t, params[t])
		if problems[t] = g.contradiction(t); problems[Video] != nil && t != Video {
			problems[t] = CheckParams(t, params[t]) // there is no clip to compare with
		}
		if g.clip.closes(t, forcesMoment(t, params[t])) {
			g.closed |= TypesOf(t)
		}
	}
	return problems
}

// contradiction says what is wrong about the parameters of a token for which
// nothing is sent; nil of a type that the clip closes.
func (g *Grant) contradiction(t TokenType) *Error {
	for _, p := range g.forced[t] {
		if err := g.clip.contradicts(t, p); err != nil {
			return err
		}
	}
	if g.clip.closes(t, forcesMoment(t, g.forced[t])) {
		return nil
	}
	return CheckParams(t, g.implied[t])
}

// Forced returns what the document forces for a type, whatever is sent.
func (g *Grant) Forced(t TokenType) Params { return g.forced[t] }

// Implied returns the parameters of a token for which nothing is sent: those
// that are forced, and what keeps the token within a forced clip.
func (g *Grant) Implied(t TokenType) Params { return g.implied[t] }

// ForcesClip reports whether a clip bound is forced, on any type.
func (g *Grant) ForcesClip() bool { return g.clip.bounded() }

// Closed returns the types that the grant cannot give because no token of them
// can be kept within the clip that it forces, listed or not.
func (g *Grant) Closed() TypeSet { return g.closed }

// Gives reports whether the grant gives tokens of the type.
func (g *Grant) Gives(t TokenType) bool { return t < TokenTypes && g.Types.Has(t) && !g.closed.Has(t) }

// Settle returns the parameters of a token: what was sent, under what is forced,
// kept within the clip that is forced. A backend may choose parameters that
// viewers may not, but goes beyond the clip no more than they do. What was sent
// and contradicts what is forced gives way to it.
func (g *Grant) Settle(t TokenType, sent Params, backend bool) (Params, *Error) {
	if g.closed.Has(t) {
		return nil, Errorf(CodeTypeNotGranted, "%s: cannot be kept within the part of the video that is granted", t)
	}
	if len(sent) == 0 {
		return g.implied[t], nil
	}
	forced, kept := g.forced[t], sent
	for _, p := range sent {
		if _, ok := forced.Get(p.Name); ok {
			continue // the forced value replaces it
		}
		if !backend && !g.ViewerParams[t].Has(p.Name) {
			return nil, notGranted(p.Name, "cannot be chosen here")
		}
		if err := g.clip.admits(t, p); err != nil {
			return nil, err
		}
		if contradictory(t, p, forced) {
			kept = kept.Without(p.Name)
		}
	}
	settled := g.clip.complete(t, forced.Over(kept))
	return settled, CheckParams(t, settled)
}

// contradictory reports whether a parameter that was sent cannot stand beside
// those that are forced, of which it is none.
func contradictory(t TokenType, p Param, forced Params) bool {
	switch t {
	case Video:
		return conflicts(t, p, forced, [2]string{"min_resolution", "max_resolution"})
	case GIF:
		return conflicts(t, p, forced, [2]string{"start", "end"})
	case Thumbnail: // each says which moment is shown
		return showsMoment(t, p.Name) && (forcesMoment(t, forced) || forced.flag("latest"))
	case Storyboard, DRMLicense, Stats, StatsAsset, StatsLiveStream, StatsVideo, TokenTypes:
	}
	return false
}

// conflicts reports whether p is one of two parameters that cannot stand beside
// each other with the values that they have, and the other one is forced.
func conflicts(t TokenType, p Param, forced Params, pair [2]string) bool {
	other := pair[1]
	switch p.Name {
	case pair[0]:
	case pair[1]:
		other = pair[0]
	default:
		return false
	}
	f, ok := forced.Get(other)
	return ok && CheckParams(t, Params{f}.With(p)) != nil
}
