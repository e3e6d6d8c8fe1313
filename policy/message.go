package policy

import (
	"regexp"
	"slices"

	"github.com/playgate/playgate/playback"
)

const maxMessage = 500 // characters

var languageTag = regexp.MustCompile(`\A[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}\z`)

// messageText is what viewers are told with a code, in one language.
type messageText struct {
	at   node
	from *decoder
	code playback.Code
	playback.Message
}

// messages reads `messages: {code: {language: text}}`.
func (d *decoder) messages(n node) []messageText {
	var list []messageText
	d.members(n, func(code string, ofCode node) {
		d.pairs(ofCode, func(language string, value node) {
			text, ok := d.text(value)
			switch {
			case !languageTag.MatchString(language):
				d.problem(value, "%.40q is not a language: want a tag such as en or pt-BR", language)
			case !ok:
			case text == "" || len([]rune(text)) > maxMessage:
				d.problem(value, "want a text of 1 to %d characters", maxMessage)
			default:
				list = append(list, messageText{value, d, playback.Code(code), playback.Message{Language: language, Text: text}})
			}
		})
	})
	return list
}

// localize gives the refusals their texts. What a file says replaces what the
// files that it includes say, language by language.
func (p *Policy) localize(list []messageText) {
	targets := map[playback.Code][]*playback.Error{
		playback.CodeNoMatchingRule: {p.refusals.noMatch},
		playback.CodePolicyError:    {p.refusals.broken},
		playback.CodeTypeNotGranted: p.refusals.types[:],
	}
	for _, r := range p.deny {
		targets[r.refusal.Code] = append(targets[r.refusal.Code], r.refusal)
	}
	var codes []string
	for code := range targets {
		codes = append(codes, string(code))
	}
	slices.Sort(codes)
	for i := range list {
		m := &list[i]
		if _, ok := targets[m.code]; !ok {
			m.from.problem(m.at, "no rule refuses with the code %.80q%s", m.code, didYouMean(string(m.code), codes))
			continue
		}
		for _, refusal := range targets[m.code] {
			refusal.Localized = replaceMessage(refusal.Localized, m.Message)
		}
	}
}

func replaceMessage(all []playback.Message, m playback.Message) []playback.Message {
	for i := range all {
		if all[i].Language == m.Language {
			all[i] = m
			return all
		}
	}
	return append(all, m)
}
