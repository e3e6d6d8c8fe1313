package policy

import (
	"fmt"
	"slices"
	"strings"
)

// What people write who know other languages does not parse, and what CEL's parser
// says of it helps nobody. repair writes it as CEL has it: what parses then was
// meant.

// repair is a condition that is written as CEL has it.
type repair struct {
	text  string
	why   []string // "== instead of =", each once
	first int      // where the first change is, in runes
}

// repairer rewrites the tokens of a condition.
type repairer struct {
	in   []token
	out  []string     // what stands for the tokens
	glue map[int]bool // no space in front of the token
	repair
}

// repaired returns the condition with everything rewritten that CEL does not have;
// false if there is nothing of that kind.
func repaired(source string) (repair, bool) {
	r := &repairer{in: tokens(source), glue: map[int]bool{}}
	r.out = make([]string, len(r.in))
	for i, t := range r.in {
		r.out[i] = t.text
	}
	for i := range r.in {
		if r.out[i] != "" { // else it was rewritten with the one before
			r.rewrite(i)
		}
	}
	var b strings.Builder
	end := 0 // of the last token that was written
	for i, t := range r.in {
		if r.out[i] == "" {
			continue
		}
		if t.start > end && !r.glue[i] && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(r.out[i])
		end = t.end()
	}
	r.text = b.String()
	return r.repair, len(r.why) > 0
}

// put writes something in the place of a token.
func (r *repairer) put(i int, text, why string) {
	if len(r.why) == 0 {
		r.first = r.in[i].start
	}
	r.out[i] = text
	if !slices.Contains(r.why, why) {
		r.why = append(r.why, why)
	}
}

// spelling is how CEL spells signs and words of other languages.
var spelling = map[string]string{ //nolint:gochecknoglobals // a constant table
	"=": "==", ":=": "==", "===": "==", "!==": "!=", "<>": "!=", "=>": ">=", "=<": "<=", "&": "&&", "|": "||", "->": ".", "::": ".", "?.": ".?",
	"and": "&&", "or": "||", "eq": "==", "equals": "==", "is": "==", "ne": "!=", "neq": "!=", "isnt": "!=", "lt": "<", "gt": ">", "lte": "<=", "le": "<=", "gte": ">=", "ge": ">=",
	"then": "?", "else": ":",
}

// infix are functions that other languages write between their operands.
var infix = map[string]string{ //nolint:gochecknoglobals // a constant table
	"=~": "matches", "matches": "matches", "regex": "matches", "like": "matches", "contains": "contains", "startswith": "startsWith", "endswith": "endsWith",
}

const conditionalSpelling = "c ? a : b instead of if c then a else b"

// rewrite looks at the token at i, in the light of those beside it.
func (r *repairer) rewrite(i int) {
	t := r.in[i]
	switch word := strings.ToLower(t.text); {
	case t.kind == quotedToken:
		r.quotes(i)
	case t.kind == numberToken:
		r.unit(i)
	case t.kind == openToken:
	case t.is("not"):
		r.not(i)
	case t.is("if") && !r.operandEnds(i-1):
		r.put(i, "", conditionalSpelling)
	case (t.is("then") || t.is("else")) && r.operandEnds(i-1) && r.operandBegins(i+1):
		r.put(i, spelling[word], conditionalSpelling)
	case t.is("is") && r.at(i+1).is("not") && r.operandEnds(i-1):
		r.put(i, "!=", "!= instead of is not")
		r.out[i+1] = ""
	case infix[word] != "" && r.operandEnds(i-1) && r.operandBegins(i+1):
		r.call(i, infix[word])
	case t.is("in") && r.at(i+1).is("("):
		r.list(i + 1)
	case spelling[word] != "" && (t.kind == signToken || r.operandEnds(i-1) && r.operandBegins(i+1)):
		r.put(i, spelling[word], spelling[word]+" instead of "+t.text)
	case t.is("$") && r.at(i+1).is("{"), t.is("{") && r.at(i+1).is("{"):
		r.template(i)
	case t.is("$") || t.is("@") || t.is("#"):
		r.put(i, "", "variables without "+t.text)
	case t.is(";") && i == len(r.in)-1:
		r.put(i, "", "no ; at the end")
	}
}

// template leaves of ${x} and {{x}} what is in it.
func (r *repairer) template(i int) {
	end := r.operandEnd(i + 1)
	r.put(i, "", fmt.Sprintf("variables without %s%s", r.in[i].text, "{ }"))
	r.out[i+1], r.out[end] = "", ""
	if r.in[i].is("{") && r.at(end+1).is("}") {
		r.out[end+1] = ""
	}
}

func (r *repairer) at(i int) token {
	if i < 0 || i >= len(r.in) {
		return token{kind: signToken}
	}
	return r.in[i]
}

// operandEnds reports whether an operand can end with the token at i.
func (r *repairer) operandEnds(i int) bool {
	t := r.at(i)
	return t.kind == quotedToken || t.kind == numberToken || t.kind == wordToken && !isConnective(t) || isClosing(t)
}

// operandBegins reports whether one can begin with it.
func (r *repairer) operandBegins(i int) bool {
	t := r.at(i)
	return t.kind != signToken && t.kind != openToken || slices.Contains([]string{"(", "[", "{", "!", "-"}, t.text)
}

func isConnective(t token) bool {
	return slices.ContainsFunc([]string{"and", "or", "not", "in", "is", "if", "then", "else"}, t.is)
}

// quotes makes curly quotes straight.
func (r *repairer) quotes(i int) {
	text := []rune(r.in[i].text)
	if first := text[0]; first < 0x80 {
		return
	}
	r.put(i, fmt.Sprintf("%q", string(text[1:len(text)-1])), "straight quotes instead of curly ones")
}

// durations are units that people write behind numbers, in seconds.
var durations = map[string]string{ //nolint:gochecknoglobals // a constant table
	"s": "%ss", "sec": "%ss", "seconds": "%ss", "m": "%sm", "min": "%sm", "minutes": "%sm", "h": "%sh", "hour": "%sh", "hours": "%sh", "ms": "%sms",
}

// unit makes 1h a duration.
func (r *repairer) unit(i int) {
	unit := r.at(i + 1)
	if unit.kind != wordToken || unit.start != r.in[i].end() || durations[strings.ToLower(unit.text)] == "" {
		return
	}
	written := fmt.Sprintf(durations[strings.ToLower(unit.text)], r.in[i].text)
	r.put(i, fmt.Sprintf("duration(%q)", written), fmt.Sprintf("duration(%q) instead of %s", written, r.in[i].text+unit.text))
	r.out[i+1] = ""
}

// not makes not x !x, and x not in y !(x in y).
func (r *repairer) not(i int) {
	if r.operandEnds(i - 1) {
		if r.at(i + 1).is("in") {
			r.put(i, "", "!(… in …) instead of not in")
			from := r.operandStart(i - 1)
			r.out[from] = "!(" + r.out[from]
			r.out[r.operandEnd(i+2)] += ")"
		}
		return
	}
	end := r.conditionEnd(i + 1)
	if end > i && slices.ContainsFunc(r.in[i+1:end+1], compares) {
		r.out[i+1] = "(" + r.out[i+1]
		r.out[end] += ")"
	}
	r.put(i, "!", "! instead of "+r.in[i].text)
	r.glue[i+1] = true
}

func compares(t token) bool {
	return slices.ContainsFunc([]string{"==", "!=", "<", "<=", ">", ">=", "=", "in", "is"}, t.is)
}

// conditionEnd is the last token of the condition that begins at i, before what
// joins it with another one.
func (r *repairer) conditionEnd(i int) int {
	depth := 0
	for j := i; j < len(r.in); j++ {
		switch t := r.in[j]; {
		case isOpening(t):
			depth++
		case depth > 0 && isClosing(t):
			depth--
		case depth == 0 && (isClosing(t) || slices.ContainsFunc([]string{"&&", "||", "and", "or", "&", "|", "?", ":", ",", "then", "else"}, t.is)):
			return j - 1
		}
	}
	return len(r.in) - 1
}

// call makes "x matches y" x.matches(y).
func (r *repairer) call(i int, function string) {
	end := r.operandEnd(i + 1)
	r.put(i, "."+function+"(", fmt.Sprintf("x.%s(y) instead of x %s y", function, r.in[i].text))
	r.glue[i], r.glue[i+1] = true, true
	r.out[end] += ")"
}

// list makes in ("a", "b") in ["a", "b"].
func (r *repairer) list(i int) {
	end := r.operandEnd(i)
	if !slices.ContainsFunc(r.in[i:end], func(t token) bool { return t.is(",") }) {
		return
	}
	r.put(i, "[", "a list in [ ] instead of ( )")
	r.out[end] = strings.Replace(r.out[end], ")", "]", 1)
}

// operandStart is the first token of the operand that ends at i: names, dots,
// calls, brackets.
func (r *repairer) operandStart(i int) int {
	for {
		if isClosing(r.at(i)) {
			i = r.counterpart(i, -1)
			if r.at(i-1).kind == wordToken && !isConnective(r.at(i-1)) {
				i--
				continue
			}
		}
		if prev := r.at(i - 1); prev.is(".") || prev.is(".?") {
			i -= 2
			continue
		}
		return max(i, 0)
	}
}

// operandEnd is the last token of the operand that begins at i.
func (r *repairer) operandEnd(i int) int {
	for ; i < len(r.in); i++ {
		if isOpening(r.at(i)) {
			i = r.counterpart(i, 1)
		}
		switch next := r.at(i + 1); {
		case next.is(".") || next.is(".?"):
			i++
		case !next.is("(") && !next.is("[") && !next.is("[?"):
			return min(i, len(r.in)-1)
		}
	}
	return len(r.in) - 1
}

func isOpening(t token) bool { return t.is("(") || t.is("[") || t.is("[?") || t.is("{") }

func isClosing(t token) bool { return t.is(")") || t.is("]") || t.is("}") }

// counterpart is the bracket that belongs to the one at i, in front of it (step
// -1) or behind it (step 1); the last token there if there is none.
func (r *repairer) counterpart(i, step int) int {
	depth := 0
	for ; i > 0 && step < 0 || i < len(r.in)-1 && step > 0; i += step {
		switch t := r.in[i]; {
		case isOpening(t):
			depth++
		case isClosing(t):
			depth--
		}
		if depth == 0 {
			return i
		}
	}
	return i
}
