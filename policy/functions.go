package policy

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// ownFunctions are what the rule language has beyond CEL and its extensions, for
// the questions that rights ask. They know no clock and touch nothing.
type ownFunctions struct {
	sets  map[string]*set
	zones *zones
}

// The names of the functions, and the length of the longest result of those
// that return a text.
const (
	inSetFunction    = "inSet"
	deviceFunction   = "device"
	hostFunction     = "host"
	inDomainFunction = "inDomain"
	inWindowFunction = "inWindow"
	localFunction    = "localTime"

	maxHost = 253 // RFC 1035 §2.3.4, written out
)

// options declares the functions to CEL, each with what it costs.
func (f *ownFunctions) options() []cel.EnvOption {
	text, flag := cel.StringType, cel.BoolType
	declare := func(name string, in []*cel.Type, out *cel.Type, call func([]string) ref.Val, costs ...cost.OverloadModelOption) []cel.EnvOption {
		overload := name + "_overload"
		return []cel.EnvOption{
			cel.Function(name, cel.Overload(overload, in, out, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				texts := make([]string, len(args))
				for i := range args {
					s, ok := args[i].(types.String)
					if !ok {
						return types.NewErr("%s() takes texts", name)
					}
					texts[i] = string(s)
				}
				return call(texts)
			}))),
			cel.CostModel(cost.Overload(overload, costs...)),
		}
	}
	scan := func(arg int) cost.OverloadModelOption {
		return cost.EvalCost(cost.StringScan(cost.Length(cost.Arg(arg))))
	}
	opts := declare(inSetFunction, []*cel.Type{text, text}, flag, func(a []string) ref.Val { return types.Bool(f.sets[a[0]].has(a[1])) }, scan(1))
	opts = append(opts, declare(deviceFunction, []*cel.Type{text}, text, func(a []string) ref.Val { return types.String(deviceOf(a[0])) },
		scan(0), cost.ResultSize(cost.Const(sizeWord)))...)
	opts = append(opts, declare(hostFunction, []*cel.Type{text}, text, func(a []string) ref.Val { return types.String(hostOf(a[0])) },
		scan(0), cost.ResultSize(cost.Const(maxHost)))...)
	opts = append(opts, declare(inDomainFunction, []*cel.Type{text, text}, flag, func(a []string) ref.Val { return types.Bool(inDomain(a[0], a[1])) }, scan(0))...)
	opts = append(opts, declare(localFunction, []*cel.Type{text, text}, cel.TimestampType, func(a []string) ref.Val {
		at, err := f.zones.local(a[0], a[1])
		if err != nil {
			return types.WrapErr(err)
		}
		return types.Timestamp{Time: at}
	}, scan(0))...)
	return append(opts, f.window()...)
}

// window declares inWindow(), the one that takes a time.
func (f *ownFunctions) window() []cel.EnvOption {
	const overload = inWindowFunction + "_overload"
	in := []*cel.Type{cel.TimestampType, cel.StringType, cel.StringType, cel.StringType}
	return []cel.EnvOption{
		cel.Function(inWindowFunction, cel.Overload(overload, in, cel.BoolType, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
			at, ok := args[0].(types.Timestamp)
			zone, ok1 := args[1].(types.String)
			from, ok2 := args[2].(types.String)
			to, ok3 := args[3].(types.String)
			if !ok || !ok1 || !ok2 || !ok3 {
				return types.NewErr("inWindow() takes a timestamp and three texts")
			}
			inside, err := f.zones.inWindow(at.Time, string(zone), string(from), string(to))
			if err != nil {
				return types.WrapErr(err)
			}
			return types.Bool(inside)
		}))),
		cel.CostModel(cost.Overload(overload, cost.EvalCost(cost.Const(1)))),
	}
}

// misuse says what is wrong with a call of one of the functions that can be told
// before anybody asks: a set that does not exist, a zone or time that is none.
func (f *ownFunctions) misuse(call ast.CallExpr) string {
	args := call.Args()
	switch call.FunctionName() {
	case inSetFunction:
		name, ok := literal(args[0])
		if !ok {
			return "inSet(): the name of the set must be a text in quotes"
		}
		if f.sets[name] == nil {
			return fmt.Sprintf("there is no set %.80q%s", name, didYouMean(name, f.names()))
		}
		if f.sets[name].isTexts() && readsAddress(args[1]) {
			return fmt.Sprintf("inSet(): the set %.80q is not of networks and addresses, so request.ip is never in it", name)
		}
	case inDomainFunction:
		if domain, ok := literal(args[1]); ok && !isDomain(domain) {
			return fmt.Sprintf("inDomain(): %.80q is not a domain: want acme.example, for it and all below it", domain)
		}
	case localFunction:
		at, isTime := literal(args[0])
		zone, isZone := literal(args[1])
		return f.zones.misuse(localFunction, given(isZone, zone, "UTC"), func(zone string) error {
			_, err := f.zones.local(given(isTime, at, "2027-01-01T00:00"), zone)
			return err
		})
	case inWindowFunction:
		zone, isZone := literal(args[1])
		from, isFrom := literal(args[2])
		to, isTo := literal(args[3])
		return f.zones.misuse(inWindowFunction, given(isZone, zone, "UTC"), func(zone string) error {
			if !isFrom || !isTo {
				from, to = given(isFrom, from, "00:00"), given(isTo, to, "00:01")
				if from == to {
					from = "00:02"
				}
			}
			_, err := f.zones.inWindow(testNow(), zone, from, to)
			return err
		})
	}
	return ""
}

func readsAddress(e ast.Expr) bool {
	return slices.ContainsFunc(placesOf(e), func(p place) bool { return p.String() == "request.ip" })
}

// given returns what stands in the rule, or else something that is right.
func given(ok bool, text, otherwise string) string {
	if ok {
		return text
	}
	return otherwise
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
