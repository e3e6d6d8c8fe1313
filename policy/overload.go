package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// article names a type of CEL in words.
func article(t string) string {
	switch {
	case strings.HasPrefix(t, "list"):
		return "a list"
	case strings.HasPrefix(t, "map"):
		return "a map"
	case strings.HasPrefix(t, "optional_type"):
		return "an optional"
	case strings.HasPrefix(t, "playgate."):
		return "a variable with fields"
	case t == "net.IP":
		return "an address"
	case t == "net.CIDR":
		return "a network"
	case t == "int":
		return "an int"
	case t == "null" || t == "null_type":
		return "null"
	case t == "google.protobuf.Timestamp":
		return "a timestamp"
	case t == "google.protobuf.Duration":
		return "a duration"
	case t == "dyn":
		return "of any type"
	}
	return "a " + t
}

// signature splits "(double, list(int))" and "string.(int)" into what the function
// is called on, "" for none, and the types of its arguments.
func signature(text string) (on string, args []string) {
	open := strings.Index(text, ".(")
	if strings.HasPrefix(text, "(") {
		open = -1
	}
	if open >= 0 {
		on, text = text[:open], text[open+1:]
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "("), ")")
	depth, begin := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			args = append(args, strings.TrimSpace(text[begin:i]))
			begin = i + 1
		}
	}
	if rest := strings.TrimSpace(text[begin:]); rest != "" {
		args = append(args, rest)
	}
	return on, args
}

// overload words a function or an operator that is given what it does not take.
func (d *describer) overload(function, applied string, e ast.Expr) string {
	on, args := signature(applied)
	if e.Kind() != ast.CallKind {
		return fmt.Sprintf("%s cannot take %s", function, applied)
	}
	call := e.AsCall()
	sign, isOperator := operators.FindReverse(function)
	switch {
	case function == operators.LogicalNot:
		return d.notBool("!", call.Args()[0], args[0])
	case function == operators.Conditional:
		return d.conditional(call, args)
	case function == operators.Index || function == operators.OptIndex:
		return d.subscript(call, args)
	case function == operators.In || function == operators.OldIn:
		return d.membership(call, args)
	case isOperator && len(args) == 2:
		return d.binary(sign, call, args)
	case isOperator:
		return fmt.Sprintf("%s cannot take %s", sign, article(args[0]))
	}
	return d.function(function, call, on, args)
}

func (d *describer) conditional(call ast.CallExpr, args []string) string {
	if args[0] != "bool" {
		return d.notBool("?:", call.Args()[0], args[0])
	}
	return fmt.Sprintf("?: gives %s or %s: both must be of one type", article(args[1]), article(args[2]))
}

func (d *describer) subscript(call ast.CallExpr, args []string) string {
	if name, ok := literalText(call.Args()[1]); ok && strings.HasPrefix(args[0], "playgate.") {
		return fmt.Sprintf("%s has fields, not keys: write %s.%s", d.text(call.Args()[0]), d.text(call.Args()[0]), name)
	}
	return fmt.Sprintf("[ ] finds a member of a list by its number or of a map by its key: %s is %s, %s is %s",
		d.text(call.Args()[0]), article(args[0]), d.text(call.Args()[1]), article(args[1]))
}

// notBool says that a condition is wanted.
func (d *describer) notBool(sign string, operand ast.Expr, is string) string {
	text := fmt.Sprintf("%s takes conditions, and %s is %s", sign, d.text(operand), article(is))
	if zero := zeroText(is); zero != "" && operand.Kind() != ast.LiteralKind {
		negated := "!="
		if sign == "!" {
			negated = "=="
		}
		text += fmt.Sprintf("; compare it: %s %s %s", d.text(operand), negated, zero)
	}
	return text
}

// zeroText writes what is not known, of a type.
func zeroText(t string) string {
	switch t {
	case "string":
		return `""`
	case "double":
		return "0.0"
	case "int", "uint":
		return "0"
	case "bool":
		return "false"
	case "timestamp", "google.protobuf.Timestamp":
		return `timestamp("1970-01-01T00:00:00Z")`
	}
	if strings.HasPrefix(t, "list") {
		return "[]"
	}
	if strings.HasPrefix(t, "map") {
		return "{}"
	}
	return ""
}

// wrongType words an operand of && or || that is no condition, and members of a
// list that differ.
func (d *describer) wrongType(want, is string, at ast.Expr) string {
	parent := d.parents[at.ID()]
	if want != "bool" || parent == nil || parent.Kind() != ast.CallKind {
		return fmt.Sprintf("%s is %s, want %s", d.text(at), article(is), article(want))
	}
	sign := "&&"
	if parent.AsCall().FunctionName() == operators.LogicalOr {
		sign = "||"
	}
	if text, ok := d.alternatives(parent, at); ok {
		return fmt.Sprintf("%s takes conditions, and %s is %s; write %s", sign, d.text(at), article(is), text)
	}
	return d.notBool(sign, at, is)
}

// alternatives reads x == "a" || "b" as x in ["a", "b"].
func (d *describer) alternatives(or, at ast.Expr) (string, bool) {
	args := or.AsCall().Args()
	if or.AsCall().FunctionName() != operators.LogicalOr || at.Kind() != ast.LiteralKind || len(args) != 2 {
		return "", false
	}
	var list []string
	var what string
	var collect func(e ast.Expr) bool
	collect = func(e ast.Expr) bool {
		switch {
		case e.Kind() == ast.LiteralKind:
			list = append(list, d.text(e))
			return true
		case e.Kind() != ast.CallKind:
			return false
		case e.AsCall().FunctionName() == operators.LogicalOr:
			return collect(e.AsCall().Args()[0]) && collect(e.AsCall().Args()[1])
		case e.AsCall().FunctionName() == operators.Equals && e.AsCall().Args()[1].Kind() == ast.LiteralKind && what == "":
			what = d.text(e.AsCall().Args()[0])
			list = append(list, d.text(e.AsCall().Args()[1]))
			return true
		}
		return false
	}
	for parent := d.parents[or.ID()]; parent != nil && parent.Kind() == ast.CallKind && parent.AsCall().FunctionName() == operators.LogicalOr; parent = d.parents[or.ID()] {
		or = parent
	}
	if !collect(or) || what == "" {
		return "", false
	}
	return fmt.Sprintf("%s in [%s]", what, strings.Join(list, ", ")), true
}

// membership words what in is given.
func (d *describer) membership(call ast.CallExpr, args []string) string {
	what, list := call.Args()[0], call.Args()[1]
	switch {
	case args[1] == "net.CIDR":
		return fmt.Sprintf("in takes a list; write %s.containsIP(%s)", d.text(list), d.text(what))
	case args[1] == "string" && list.Kind() == ast.LiteralKind:
		return fmt.Sprintf("in takes a list; write %s in [%s]", d.text(what), d.text(list))
	case args[1] == "string":
		return fmt.Sprintf("in takes a list; of texts, write %s.contains(%s)", d.text(list), d.text(what))
	case list.Kind() == ast.ListKind:
		var members []string
		changed := false
		for _, member := range list.AsList().Elements() {
			text, ok := d.as(member, args[0])
			if !ok {
				text = d.text(member)
			}
			changed = changed || ok
			members = append(members, text)
		}
		if changed {
			return fmt.Sprintf("%s is %s, and the list has another type; write %s in [%s]", d.text(what), article(args[0]), d.text(what), strings.Join(members, ", "))
		}
	}
	return fmt.Sprintf("in looks for a member of a list or a key of a map: %s is %s, %s is %s", d.text(what), article(args[0]), d.text(list), article(args[1]))
}

// binary words the operands of an operator that do not go together.
func (d *describer) binary(sign string, call ast.CallExpr, args []string) string {
	left, right := call.Args()[0], call.Args()[1]
	text := fmt.Sprintf("%s is %s and %s %s", d.text(left), article(args[0]), d.text(right), article(args[1]))
	for i := range args {
		if article(args[i]) == "null" {
			text = fmt.Sprintf("%s is %s and never null", d.text(call.Args()[1-i]), article(args[1-i]))
		}
	}
	if chain, ok := d.chain(sign, left, right); ok && args[0] == "bool" {
		return text + "; write " + chain
	}
	write := func(l, r string) string { return fmt.Sprintf("%s; write %s %s %s", text, l, sign, r) }
	arithmetic := slices.Contains([]string{"+", "-", "*", "/", "%"}, sign)
	for i := range args {
		wanted, literal := args[1-i], call.Args()[i]
		if arithmetic && (wanted == "timestamp" || wanted == "duration") {
			wanted = "duration"
		}
		written, ok := d.as(literal, wanted)
		switch {
		case !ok:
		case i == 0:
			return write(written, d.text(right))
		default:
			return write(d.text(left), written)
		}
	}
	return d.converted(sign, text, call, args)
}

// chain reads 1 < x < 3 as 1 < x && x < 3.
func (d *describer) chain(sign string, left, right ast.Expr) (string, bool) {
	if left.Kind() != ast.CallKind || !isOrder(sign) {
		return "", false
	}
	inner, ok := operators.FindReverse(left.AsCall().FunctionName())
	if !ok || !isOrder(inner) {
		return "", false
	}
	return fmt.Sprintf("%s && %s %s %s", d.text(left), d.text(left.AsCall().Args()[1]), sign, d.text(right)), true
}

func isOrder(sign string) bool { return slices.Contains([]string{"<", "<=", ">", ">="}, sign) }

// converted proposes a conversion of what is no literal.
func (d *describer) converted(sign, text string, call ast.CallExpr, args []string) string {
	for i, is := range args {
		other, at := args[1-i], call.Args()[i]
		var written string
		switch {
		case strings.HasPrefix(is, "optional_type"):
			zero := zeroText(other)
			if zero == "" {
				zero = "…"
			}
			written = fmt.Sprintf("%s.orValue(%s)", d.text(at), zero)
		case is == "int" && other == "double", is == "int" && other == "string", is == "double" && other == "string":
			written = fmt.Sprintf("%s(%s)", other, d.text(at))
		case is == "string" && other == "timestamp" && at.Kind() != ast.LiteralKind:
			written = fmt.Sprintf("timestamp(%s)", d.text(at))
		case strings.HasPrefix(is, "list") && other == "string" && (sign == "==" || sign == "!="):
			membership := fmt.Sprintf("%s in %s", d.text(call.Args()[1-i]), d.text(at))
			if sign == "!=" {
				membership = "!(" + membership + ")"
			}
			return text + "; write " + membership
		default:
			continue
		}
		if i == 0 {
			return fmt.Sprintf("%s; write %s %s %s", text, written, sign, d.text(call.Args()[1]))
		}
		return fmt.Sprintf("%s; write %s %s %s", text, d.text(call.Args()[0]), sign, written)
	}
	return fmt.Sprintf("%s: %s does not take both", text, sign)
}

// function words a call of a function that does not take its arguments.
func (d *describer) function(name string, call ast.CallExpr, on string, args []string) string {
	texts := make([]string, len(call.Args()))
	for i, arg := range call.Args() {
		texts[i] = d.text(arg)
	}
	target := ""
	if call.IsMemberFunction() {
		target = d.text(call.Target())
	}
	switch {
	case name == "contains" && strings.HasPrefix(on, "list") && len(texts) == 1:
		return fmt.Sprintf("contains() is of texts; of a list, write %s in %s", texts[0], target)
	case on == "net.CIDR" && len(texts) == 1:
		return fmt.Sprintf("write %s.containsIP(%s)", target, texts[0])
	case len(args) == 1 && on == "" && args[0] == "playgate.Request":
		return fmt.Sprintf("%s() takes a text: write %s(request.user_agent)", name, name)
	case len(args) == 0 && on == "" && name == deviceFunction:
		return "device() takes the user agent: write device(request.user_agent)"
	case on == "" && len(args) > 0 && memberFunctions[name]:
		return fmt.Sprintf("write %s.%s(%s)", texts[0], name, strings.Join(texts[1:], ", "))
	case on == "string" && len(args) == 1:
		if written, ok := d.as(call.Args()[0], "string"); ok {
			return fmt.Sprintf("%s() takes a text: write %s.%s(%s)", name, target, name, written)
		}
	}
	words := make([]string, len(args))
	for i := range args {
		words[i] = article(args[i])
	}
	given := strings.Join(words, " and ")
	if given == "" {
		given = "nothing"
	}
	if on != "" {
		return fmt.Sprintf("%s() does not take %s on %s", name, given, article(on))
	}
	return fmt.Sprintf("%s() does not take %s", name, given)
}

// memberFunctions are called on a text: text.startsWith("a").
var memberFunctions = map[string]bool{ //nolint:gochecknoglobals // a constant table
	"startsWith": true, "endsWith": true, "contains": true, "matches": true, "lowerAscii": true, "upperAscii": true, "trim": true, "split": true, "replace": true,
	"substring": true, "indexOf": true, "lastIndexOf": true, "charAt": true, "join": true, "containsIP": true, "orValue": true, "hasValue": true,
	"getHours": true, "getMinutes": true, "getFullYear": true, "getMonth": true, "getDayOfMonth": true, "getDayOfWeek": true,
}
