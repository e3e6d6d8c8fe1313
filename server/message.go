package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/playback"
)

const (
	maxLanguages = 16  // of Accept-Language that are looked at
	maxAccept    = 512 // bytes of it
)

// localize puts the operator's own text for the viewer in place of a refusal's
// message, in the language that the client likes best. The other members of an
// answer are the same in every language.
func localize(c *fiber.Ctx, refusal *playback.Error) *playback.Error {
	if len(refusal.Localized) == 0 {
		return refusal
	}
	m := choose(refusal.Localized, c.Get(fiber.HeaderAcceptLanguage))
	next := *refusal
	next.Message = m.Text
	c.Set(fiber.HeaderContentLanguage, m.Language)
	return &next
}

// choose looks the ranges of an Accept-Language header up (RFC 4647 §3.4) in the
// order of their weights: de-CH finds de. Without a match it is English, if
// there is any, else the first.
func choose(messages []playback.Message, accept string) *playback.Message {
	for _, wanted := range languages(accept) {
		for wanted != "" {
			for i := range messages {
				if strings.EqualFold(messages[i].Language, wanted) {
					return &messages[i]
				}
			}
			wanted = wanted[:max(0, strings.LastIndexByte(wanted, '-'))]
		}
	}
	for i := range messages {
		if strings.EqualFold(messages[i].Language, "en") {
			return &messages[i]
		}
	}
	return &messages[0]
}

// languages returns the ranges of an Accept-Language header, the best first.
func languages(accept string) []string {
	type weighted struct {
		language string
		weight   float64
	}
	var all []weighted
	for part := range strings.SplitSeq(accept[:min(len(accept), maxAccept)], ",") {
		language, params, _ := strings.Cut(part, ";")
		w := weighted{strings.TrimSpace(language), 1}
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			f, err := strconv.ParseFloat(q, 64)
			if err != nil || !(f > 0 && f <= 1) { // 0 is "not this one"
				continue
			}
			w.weight = f
		}
		if all = append(all, w); len(all) == maxLanguages {
			break
		}
	}
	slices.SortStableFunc(all, func(a, b weighted) int { return cmp.Compare(b.weight, a.weight) })
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].language
	}
	return out
}
