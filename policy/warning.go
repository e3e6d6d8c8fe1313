package policy

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/playgate/playgate/playback"
)

// Check compiles a document without its environment, as `playgate policy check`
// does, and returns its warnings. The error is Problems. known is as in
// Warnings.
func Check(text []byte, o Options, known []*playback.Object) ([]string, error) {
	hasKey := o.PseudonymKey.Reveal() != ""
	p, tests, err := compile(text, o.withStandIn())
	if err != nil {
		return nil, err
	}
	warnings := p.Warnings(known)
	warnings = append(warnings, testDoubts(tests, o.Issuers)...)
	if !hasKey && p.usesPseudonyms() {
		warnings = append(warnings, "pseudonym() is used: the environment needs token.pseudonym_key_file")
	}
	return warnings, nil
}

// testDoubts are the warnings about the questions of a document's tests.
func testDoubts(tests []testCase, issuers []string) (warnings []string) {
	for i := range tests {
		for _, doubt := range tests[i].doubts(issuers) {
			warnings = append(warnings, fmt.Sprintf("%s (%s): %s", tests[i].place, tests[i].name, doubt))
		}
	}
	return warnings
}

// Warnings says what in the document is legal but dangerous or pointless.
// known are the playback IDs of the environment's catalogue, whose longest
// asset the grants are measured against; it may be nil.
func (p *Policy) Warnings(known []*playback.Object) []string {
	if len(known) > 0 {
		return p.warnings(known)
	}
	p.bare.once.Do(func() { p.bare.list = p.warnings(nil) })
	return p.bare.list
}

// bareWarnings are the warnings about a document where no playback ID is known.
type bareWarnings struct {
	once sync.Once
	list []string
}

func (p *Policy) warnings(known []*playback.Object) []string {
	if p.Empty() {
		return []string{"there are no rules: everything is denied"}
	}
	var warnings []string
	if len(p.allow) == 0 {
		warnings = append(warnings, "there is no allow rule: everything is denied")
	}
	for _, name := range p.language.conditions.names() {
		if c := p.language.conditions; !c.used[name] && c.texts[name].from.file == "" {
			warnings = append(warnings, fmt.Sprintf("conditions.%s: is used by no rule", name))
		}
	}
	for _, name := range p.language.functions.names() {
		for _, doubt := range p.language.functions.sets[name].doubts {
			warnings = append(warnings, fmt.Sprintf("sets.%s: %s", name, doubt))
		}
	}
	longest := longestAsset(known)
	unreachable := p.unreachable()
	for _, r := range p.rules() {
		var found []string
		if reason := unreachable[r.index]; reason != "" {
			found = append(found, reason)
		}
		if testsCountryNegated(r.when.ast) {
			found = append(found, r.countryWarning())
		}
		if text := p.unknownWarning(r); text != "" {
			found = append(found, text)
		}
		found = append(found, p.absentWarnings(r)...)
		for _, e := range r.expressions() {
			found = append(found, memberWarnings(e.ast.NativeRep())...)
			found = append(found, p.language.improbable(e.ast.NativeRep())...)
		}
		found = append(found, p.metaWarnings(r, known)...)
		if !r.deny {
			found = append(found, p.grantWarnings(r, longest)...)
		}
		for _, text := range found {
			warnings = append(warnings, fmt.Sprintf("%s (%s): %s", r.path, r.id, text))
		}
	}
	return warnings
}

func (r *rule) countryWarning() string {
	if r.deny {
		return `a negated country test: viewers whose country is unknown ("ZZ") are denied too`
	}
	return `a negated country test: viewers whose country is unknown ("ZZ") pass it`
}

// unreachable says, by index, why a rule can never decide.
func (p *Policy) unreachable() []string {
	reasons := make([]string, len(p.deny)+len(p.allow))
	always := ""                         // the first rule that always decides
	conditions := make(map[string]*rule) // by their canonical text
	for _, list := range [...][]*rule{p.deny, p.allow} {
		for _, r := range list {
			value, constant := r.when.constant()
			text, err := cel.AstToString(r.when.ast)
			same, duplicate := conditions[text]
			switch {
			case always != "":
				reasons[r.index] = fmt.Sprintf("is never reached: rule %s always decides before it", always)
			case constant && !value:
				reasons[r.index] = "never matches: its condition is always false"
			case constant:
				always = r.id
			case err == nil && duplicate:
				reasons[r.index] = fmt.Sprintf("is never reached: rule %s has the same condition and decides before it", same.id)
			default:
				conditions[text] = r
			}
		}
	}
	return reasons
}

func (p *Policy) grantWarnings(r *rule, longest *playback.Asset) []string {
	var found []string
	g := r.grant
	if g.ForcesClip() {
		found = append(found, clipWarnings(g, longest)...)
	}
	for t := range playback.TokenTypes {
		if len(g.Forced(t)) > 0 && !g.Types.Has(t) {
			found = append(found, fmt.Sprintf("forces parameters of %s, a type that it does not grant", t))
		}
	}
	if len(g.Renditions) > 0 && !g.Types.Has(playback.Video) {
		found = append(found, "grants renditions, but not video, the type of their tokens")
	}
	found = append(found, p.lifetimeWarnings(g, longest)...)
	for _, c := range r.custom {
		if name := exposes(c.value.ast); name != "" {
			found = append(found, fmt.Sprintf("custom.%s puts %s into the token, which anyone can read: use pseudonym(%s)", c.name, name, name))
		}
	}
	return found
}

// clipWarnings says what of a grant shows more than the clip that it forces, and
// what it lists in vain.
func clipWarnings(g *playback.Grant, longest *playback.Asset) []string {
	var found []string
	if len(g.Renditions) > 0 {
		found = append(found, "forces a clip and grants renditions: a static file ignores clip bounds, so the whole asset can be fetched")
	}
	video := g.Forced(playback.Video)
	if g.Types.Has(playback.Video) && !clips(video) {
		found = append(found, "forces a clip, but not on the video that it grants: the video shows the whole asset")
	}
	if clips(video) && g.Types.Has(playback.Storyboard) {
		for _, name := range playback.ClipBounds() {
			mine, theirs := paramText(video, name), paramText(g.Implied(playback.Storyboard), name)
			if mine != "" && mine != theirs {
				found = append(found, fmt.Sprintf("forces %s %s on video and %s on storyboard: the storyboard shows another part of the asset", name, mine, theirs))
			}
		}
	}
	for _, t := range []playback.TokenType{playback.Thumbnail, playback.GIF} {
		if g.Types.Has(t) && g.Closed().Has(t) {
			found = append(found, fmt.Sprintf("grants %s, which cannot be kept within the clip that it forces, so it is refused: %s", t, closedBy(t)))
		}
	}
	for t := range playback.TokenTypes {
		for _, name := range playback.ClipBounds() {
			if g.ViewerParams[t].Has(name) {
				found = append(found, fmt.Sprintf("viewer_params.%s lists %s, which no viewer can choose beside the clip that is forced", t, name))
			}
		}
	}
	if start, ok := video.Get("asset_start_time"); ok && longest != nil && start.Number() >= longest.Duration {
		found = append(found, fmt.Sprintf("forces asset_start_time %s, after the end of the longest known asset, %s: there is nothing to play", start.Text(), longest.ID))
	}
	return found
}

// closedBy says why a clip can close a type.
func closedBy(t playback.TokenType) string {
	if t == playback.GIF {
		return "it has no parameter in program time, and lasts at least 0.25 s"
	}
	return "its one moment cannot be compared with bounds in asset time and in program time"
}

func (p *Policy) lifetimeWarnings(g *playback.Grant, longest *playback.Asset) []string {
	var found []string
	ttl := g.TTL
	if ttl == 0 {
		ttl = p.defaultTTL
	}
	granted := seconds(playback.Term(ttl, false, 0, p.maxTTL))
	if granted < ttl.Truncate(time.Second) && g.TTL != 0 {
		found = append(found, fmt.Sprintf("its ttl of %s is cut to %s, four fifths of max_ttl", playback.FormatDuration(ttl), playback.FormatDuration(granted)))
	}
	if longest == nil || !g.Types.Has(playback.Video) {
		return found
	}
	whole := math.Ceil(clipped(g.Forced(playback.Video), longest.Duration))
	term := playback.Term(ttl, g.CoverDuration, longest.Duration, p.maxTTL)
	if float64(term) < whole {
		found = append(found, fmt.Sprintf("its tokens live %s, shorter than asset %s plays (%s): players must refresh them",
			playback.FormatDuration(seconds(term)), longest.ID, playback.FormatDuration(seconds(int64(whole)))))
	}
	return found
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// clipped returns how much of an asset of that length the forced parameters
// leave, in seconds.
func clipped(ps playback.Params, duration float64) float64 {
	number := func(name string, otherwise float64) float64 {
		if p, ok := ps.Get(name); ok {
			if f, isNumber := p.Value().(float64); isNumber {
				return f
			}
		}
		return otherwise
	}
	start := number("asset_start_time", 0)
	end := min(number("asset_end_time", duration), duration)
	return max(0, end-start)
}

func clips(ps playback.Params) bool {
	return slices.ContainsFunc(ps, func(p playback.Param) bool { return playback.IsClipBound(p.Name) })
}

func longestAsset(known []*playback.Object) *playback.Asset {
	var longest *playback.Asset
	for _, o := range known {
		if o.Asset != nil && o.Asset.Duration > 0 && (longest == nil || o.Asset.Duration > longest.Duration) {
			longest = o.Asset
		}
	}
	return longest
}

func (p *Policy) usesPseudonyms() bool {
	for _, r := range p.rules() {
		if callsPseudonym(r.when.ast) {
			return true
		}
		for _, c := range r.custom {
			if callsPseudonym(c.value.ast) {
				return true
			}
		}
	}
	return false
}
