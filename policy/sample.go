package policy

import (
	"maps"
	"net/netip"
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

const (
	maxRecords = 16           // that are tried for a loop over records
	elsewhere  = "192.0.2.77" // an address that nobody has (RFC 5737)
)

// function looks at a call that is true or false by itself.
func (c *collector) function(call ast.CallExpr) {
	args := call.Args()
	if !call.IsMemberFunction() {
		c.standalone(call)
		return
	}
	switch call.FunctionName() {
	case "getHours", "getMinutes", "getSeconds", "getDayOfWeek", "getDate", "getDayOfMonth", "getDayOfYear", "getMonth", "getFullYear":
		c.clock = c.clock || slices.ContainsFunc(placesOf(call.Target()), func(p place) bool { return p.shape == nowPlace })
		return
	}
	if len(args) != 1 {
		return
	}
	v, ok := c.value(args[0])
	if !ok {
		if call.FunctionName() == "containsIP" {
			c.network(call)
		}
		return
	}
	word, isText := v.(types.String)
	switch call.FunctionName() {
	case "containsIP":
		c.network(call)
	case "startsWith", "endsWith", "contains":
		verb := map[string]string{"startsWith": "starts with", "endsWith": "ends with", "contains": "contains"}
		if isText {
			c.reach(call.Target(), word, reachAs{note: verb[call.FunctionName()] + " " + text(word)})
		}
	case "matches":
		if sample, ok := sampleOf(string(word)); ok && isText {
			c.reach(call.Target(), types.String(sample), reachAs{note: "matches " + string(word)})
		}
	}
}

// standalone looks at a call of a function that is no member.
func (c *collector) standalone(call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case "isIP":
		c.reach(args[0], types.String(elsewhere), reachAs{note: "is an address"})
	case inDomainFunction:
		if v, ok := c.value(args[1]); ok {
			c.reach(args[0], v, reachAs{note: "is in the domain " + text(v)})
		}
	case inWindowFunction:
		c.clock = c.clock || slices.ContainsFunc(args, readsNow)
	case inSetFunction:
		v, _ := c.value(args[0])
		name, _ := v.(types.String)
		if sample, ok := c.language.functions.sets[string(name)].sample(); ok {
			c.reach(args[1], types.String(sample), reachAs{note: "is in the set " + string(name)})
		}
		for _, sample := range []string{elsewhere, "AQ", "another"} {
			c.reach(args[1], types.String(sample), reachAs{note: "is not in the set " + string(name)})
		}
	}
}

// sample returns a member of a set, the same one every time.
func (s *set) sample() (string, bool) {
	if s == nil {
		return "", false
	}
	least := ""
	for m := range s.texts {
		if least == "" || m < least {
			least = m
		}
	}
	for n := range s.networks {
		if m := hostIn(n); least == "" || m < least {
			least = m
		}
	}
	return least, least != ""
}

// network looks at cidr(…).containsIP(address).
func (c *collector) network(call ast.CallExpr) {
	v, ok := c.value(call.Target())
	if !ok {
		return
	}
	if network, isNetwork := v.(ext.CIDR); isNetwork {
		as := reachAs{note: "is in " + network.Prefix.Masked().String()}
		c.reach(call.Args()[0], types.String(hostIn(network.Prefix)), as)
		as.note = "is not in " + network.Prefix.Masked().String()
		c.reach(call.Args()[0], types.String(elsewhere), as)
	}
}

// hostIn returns an address of a network that a host could have.
func hostIn(network netip.Prefix) string {
	first := network.Masked().Addr()
	if next := first.Next(); network.Contains(next) {
		return next.String()
	}
	return first.String()
}

// sampleOf returns a text that a regular expression matches.
func sampleOf(pattern string) (string, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	sampleInto(&b, re.Simplify())
	return b.String(), b.Len() <= maxExpression
}

func sampleInto(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			b.WriteRune(runeOf(re.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpCapture, syntax.OpPlus, syntax.OpConcat:
		for _, sub := range re.Sub {
			sampleInto(b, sub)
		}
	case syntax.OpAlternate:
		sampleInto(b, re.Sub[0])
	case syntax.OpRepeat:
		for range re.Min {
			sampleInto(b, re.Sub[0])
		}
	case syntax.OpNoMatch, syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpStar, syntax.OpQuest: // nothing, and what may be left out
	}
}

// runeOf picks a letter or digit of a class where there is one.
func runeOf(class []rune) rune {
	for _, wanted := range "a0A" {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= wanted && wanted <= class[i+1] {
				return wanted
			}
		}
	}
	return class[0]
}

// reachFunction goes back through functions whose result is far from what they
// are given.
func (c *collector) reachFunction(call ast.CallExpr, v ref.Val, as reachAs) {
	want, ok := v.(types.String)
	if !ok {
		return
	}
	noted := func(note string) reachAs {
		if as.note != "" {
			note = as.note
		}
		return reachAs{note: note}
	}
	switch call.FunctionName() {
	case "device":
		if sample, known := deviceSamples()[string(want)]; known {
			c.reach(call.Args()[0], types.String(sample), noted("is of a "+string(want)))
		}
	case "host":
		c.reach(call.Args()[0], types.String("https://"+string(want)+"/"), noted("is on "+string(want)))
	}
}

// deviceSamples are user agents of each class of device.
func deviceSamples() map[string]string {
	return map[string]string{
		"tv":      "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 SamsungBrowser/3.0 TV Safari/537.36",
		"phone":   "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
		"tablet":  "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Version/16.6 Mobile/15E148 Safari/604.1",
		"desktop": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
		"console": "Mozilla/5.0 (PlayStation; PlayStation 5/6.00) AppleWebKit/605.1.15 Version/15.4 Safari/605.1.15",
		"bot":     "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
		"unknown": "x",
	}
}

// recordsOf makes the records that a loop could look for, out of what it
// compares their members with.
func recordsOf(m *element) []ref.Val {
	records := []map[string]ref.Val{{}}
	for _, name := range slices.Sorted(maps.Keys(m.fields)) {
		var next []map[string]ref.Val
		for _, r := range records {
			for _, v := range m.fields[name] {
				with := maps.Clone(r)
				with[name] = v
				next = append(next, with)
			}
		}
		records = next[:min(len(next), maxRecords)]
	}
	out := make([]ref.Val, len(records))
	for i, r := range records {
		out[i] = recordOf(r)
	}
	return out
}

func recordOf(members map[string]ref.Val) ref.Val {
	v := emptyMap()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		v = putMember(v, strings.Split(name, "\x00"), members[name])
	}
	return v
}
