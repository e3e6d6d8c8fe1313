package policy

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/playgate/playgate/playback"
)

const (
	maxClaims    = 32 // custom claims of a rule
	maxClaimName = 64 // bytes
)

// rendition is what a redirect can reach: contract §4's paths without the
// playback ID.
var rendition = regexp.MustCompile(`\A(?:audio\.m4a|[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.mp4|text/\*|text/[A-Za-z0-9_-]{1,255}\.(?:vtt|txt))\z`)

// defaultGrant is what an allow rule gives that does not say what.
func defaultGrant() *playback.Grant {
	g := &playback.Grant{CoverDuration: true, Types: playback.TypesOf(playback.Video)}
	for t := range playback.TokenTypes {
		g.ViewerParams[t] = nameSet(playback.DefaultViewerParams(t))
	}
	return g
}

func nameSet(names []string) playback.NameSet {
	set := make(playback.NameSet, len(names))
	for _, name := range names {
		set[name] = struct{}{}
	}
	return set
}

// grant reads what a rule gives into its text.
func (d *decoder) grant(n node, r *ruleText) {
	g := defaultGrant()
	r.grant = g
	d.fields(n, map[string]func(node){
		"ttl":                     func(v node) { g.TTL = d.duration(v) },
		"cover_duration":          func(v node) { g.CoverDuration = d.boolean(v) },
		"types":                   func(v node) { g.Types = d.types(v) },
		"params":                  func(v node) { d.forced(v, g) },
		"viewer_params":           func(v node) { d.viewerParams(v, g) },
		"renditions":              func(v node) { g.Renditions = d.renditions(v) },
		"playback_restriction_id": func(v node) { g.RestrictionID = d.restriction(v) },
		"custom":                  func(v node) { r.custom = d.custom(v) },
		"bound_to_session":        func(v node) { g.BoundToSession = d.boolean(v) },
		"until": func(v node) {
			if source, ok := d.expression(v); ok {
				r.until = expressionText{v, source}
			}
		},
	})
}

func (d *decoder) tokenType(name string, at node) (playback.TokenType, bool) {
	t, ok := playback.ParseTokenType(name)
	if !ok {
		names := playback.TokenTypeNames()
		d.problem(at, "%.40q is not a token type; want one of %s%s", name, strings.Join(names, ", "), didYouMean(name, names))
	}
	return t, ok
}

func (d *decoder) types(n node) playback.TypeSet {
	var set playback.TypeSet
	before := len(d.problems)
	d.names(n, func(name string, at node) {
		if t, ok := d.tokenType(name, at); ok {
			set |= playback.TypesOf(t)
		}
	})
	if set == 0 && len(d.problems) == before {
		d.problem(n, "is empty: a rule that grants no type allows nothing")
	}
	return set
}

// byType reads a mapping whose keys are token types.
func (d *decoder) byType(n node, visit func(playback.TokenType, node)) {
	var seen playback.TypeSet
	d.members(n, func(name string, value node) {
		t, ok := d.tokenType(name, value)
		switch {
		case !ok:
		case seen.Has(t):
			d.problem(value, "%s is given twice, once by its alias", t)
		case !value.isNull():
			seen |= playback.TypesOf(t)
			visit(t, value)
		}
	})
}

func (d *decoder) params(n node) (all [playback.TokenTypes]playback.Params) {
	d.byType(n, func(t playback.TokenType, ofType node) {
		d.members(ofType, func(name string, value node) {
			if p, ok := d.param(t, name, value); ok {
				all[t] = all[t].With(p)
			}
		})
	})
	return all
}

func (d *decoder) param(t playback.TokenType, name string, value node) (playback.Param, bool) {
	text, ok := d.scalar(value)
	if !ok {
		return playback.Param{}, false
	}
	p, err := playback.ParseParam(t, name, text)
	if err != nil {
		// The path ends with the parameter's name already.
		d.problem(value, "%s%s", strings.TrimPrefix(err.Message, name+": "), suggestParam(t, name))
		return playback.Param{}, false
	}
	return p, true
}

func (d *decoder) forced(n node, g *playback.Grant) {
	before := len(d.problems)
	contradictions := g.Force(d.params(n))
	if len(d.problems) > before {
		return // what is not there contradicts nothing
	}
	for t, err := range contradictions {
		if err != nil {
			d.problem(node{n.Node, join(n.path, playback.TokenType(t).String())}, "%s", err.Message)
		}
	}
}

func (d *decoder) viewerParams(n node, g *playback.Grant) {
	d.byType(n, func(t playback.TokenType, ofType node) {
		set := playback.NameSet{}
		d.names(ofType, func(name string, at node) {
			if !playback.KnownParam(t, name) {
				d.problem(at, "%s tokens have no parameter %.80q%s", t, name, suggestParam(t, name))
				return
			}
			set[name] = struct{}{}
		})
		g.ViewerParams[t] = set
	})
}

func (d *decoder) renditions(n node) []string {
	var names []string
	d.names(n, func(name string, at node) {
		switch {
		case !rendition.MatchString(name):
			d.problem(at, "%.80q is not a file that a redirect can reach: want audio.m4a, 720p.mp4, text/TRACK.vtt, text/TRACK.txt or text/*", name)
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	})
	return names
}

func (d *decoder) restriction(n node) playback.RestrictionID {
	text, ok := d.text(n)
	id := playback.RestrictionID(text)
	if ok && !id.Valid() {
		d.problem(n, "%.80q is not the ID of a playback restriction: want letters, digits, - and _, at most 255", text)
	}
	return id
}

func (d *decoder) custom(n node) []claimText {
	var claims []claimText
	d.pairs(n, func(name string, value node) {
		if !isClaimName(name) {
			d.problem(value, "want a name of 1 to %d bytes without control characters", maxClaimName)
			return
		}
		if source, ok := d.expression(value); ok {
			claims = append(claims, claimText{name, expressionText{value, source}})
		}
	})
	if len(claims) > maxClaims {
		d.problem(n, "has more than %d claims", maxClaims)
	}
	return claims
}

func isClaimName(name string) bool {
	return name != "" && len(name) <= maxClaimName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}
