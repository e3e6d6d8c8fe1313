package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

// The limits of an expression. Each is far above what a rule needs and far
// below what would be felt on the request path.
const (
	maxExpression  = 4096   // characters
	maxNodes       = 500    // of the syntax tree, macros expanded
	maxDepth       = 64     // of the syntax tree
	maxRegex       = 200    // instructions of the compiled regular expression
	maxNesting     = 2      // comprehensions within comprehensions
	maxCost        = 10_000 // CEL's cost units, about half a millisecond (contract §5); see meter.go
	maxCustomBytes = 1024   // all custom claims of a token (contract §4)
)

// language compiles expressions.
type language struct {
	env        *cel.Env
	pseudonyms *pseudonyms
	conditions *conditions
	functions  *ownFunctions
	issuers    []string // the aliases that viewer.issuer can be; nil: not known
	asked      []setUse // of named sets, by all expressions
	bindings   map[string]*functions.Overload
}

func newLanguage(p *pseudonyms, named *conditions, sets map[string]*set) (*language, error) {
	own := &ownFunctions{sets, &zones{}}
	opts := []cel.EnvOption{
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.EnableMacroCallTracking(), // so that conditions can be written out and compared
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
		// Lists of mixed types stay legal: claims are dyn, and so may be what
		// they are compared with.
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNesting)),
		ext.Strings(), ext.Sets(), ext.Math(), ext.Network(),
		cel.Variable("now", cel.TimestampType),
		p.function(),
		cel.CostModel(cost.Overload(pseudonymOverload,
			cost.EvalCost(cost.StringScan(cost.Length(cost.Arg(0)))), cost.ResultSize(cost.Const(pseudonymLength)))),
	}
	for i := range shapes {
		opts = append(opts, cel.Variable(shapes[i].name, shapes[i].typ))
	}
	opts = append(opts, own.options()...)
	opts = append(opts, cel.Variable(conditionVariable, conditionType()))
	// Last: the extensions register types of theirs with the provider below.
	opts = append(opts, func(e *cel.Env) (*cel.Env, error) {
		return cel.CustomTypeProvider(newProvider(e.CELTypeProvider(), named.fields()))(e)
	})
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("setting up the rule language: %w", err)
	}
	bindings, err := bindingsOf(env)
	if err != nil {
		return nil, fmt.Errorf("setting up the rule language: %w", err)
	}
	return &language{env: env, pseudonyms: p, conditions: named, functions: own, bindings: bindings}, nil
}

// expression is a compiled CEL expression. Immutable.
type expression struct {
	source  string   // as it was written
	ast     *cel.Ast // with the named conditions in their places
	program *program // stops at maxCost where the cost has no static bound, and at maxWork
	// readsGrants: it can see viewer.grants.
	readsGrants bool
	readsPlace  bool // request.country, region or asn
}

// condition compiles a rule's `when`: a bool, or a dyn (a claim, say), which
// must then be one when it is evaluated; anything else is an evaluation error.
func (l *language) condition(source string) (*expression, []finding) {
	e, problems := l.compile(source)
	if e == nil {
		return nil, problems
	}
	if t := e.ast.OutputType(); !t.IsExactType(types.BoolType) && !t.IsExactType(types.DynType) {
		return nil, whole("is %s and no condition: compare it with something", article(t.String()))
	}
	return e, nil
}

// claim compiles the expression of a custom claim.
func (l *language) claim(source string) (*expression, []finding) {
	e, problems := l.compile(source)
	if e == nil {
		return nil, problems
	}
	if t := e.ast.OutputType(); !hasJSON(t) {
		return nil, whole("is of type %s, which has no JSON form", t)
	}
	return e, nil
}

// moment compiles an expression that says when.
func (l *language) moment(source string) (*expression, []finding) {
	e, problems := l.compile(source)
	if e == nil {
		return nil, problems
	}
	if t := e.ast.OutputType(); !t.IsExactType(types.TimestampType) {
		return nil, whole("is %s, want a timestamp: write timestamp(…)", article(t.String()))
	}
	return e, nil
}

func hasJSON(t *types.Type) bool {
	switch t.Kind() {
	case types.BoolKind, types.BytesKind, types.DoubleKind, types.DurationKind, types.DynKind, types.IntKind,
		types.NullTypeKind, types.StringKind, types.TimestampKind, types.UintKind:
		return true
	case types.ListKind:
		return hasJSON(t.Parameters()[0])
	case types.MapKind:
		key := t.Parameters()[0].Kind()
		return (key == types.StringKind || key == types.DynKind || key == types.TypeParamKind) && hasJSON(t.Parameters()[1])
	case types.OpaqueKind:
		return t.TypeName() == types.OptionalType.TypeName() && hasJSON(t.Parameters()[0])
	case types.TypeParamKind:
		return true // the members of [] and {}
	default: // structs, types, addresses and networks
		return false
	}
}

func (l *language) compile(source string) (*expression, []finding) {
	checked, findings := l.check(source)
	if checked == nil {
		return nil, findings
	}
	if problem := l.forbidden(checked); problem != "" {
		return nil, whole("%s", problem)
	}
	estimate, err := l.env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, whole("its cost cannot be estimated: %s", err)
	}
	bounded := estimate.Max != math.MaxUint64
	if bounded && estimate.Max > maxCost || estimate.Min > maxCost {
		return nil, whole("may cost %d, the limit is %d: shorten the lists it walks through", max(estimate.Min, estimate.Max), maxCost)
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if !bounded {
		opts = append(opts, cel.CostLimit(maxCost))
	}
	program, err := l.program(checked.NativeRep(), opts...)
	if err != nil {
		return nil, whole("%s", err)
	}
	return &expression{source, checked, program, reads(checked, "viewer", "grants"), reads(checked, "request", "country", "region", "asn")}, nil
}

// check parses and type-checks an expression, first as it is written, so that
// findings have their places, then with the named conditions in theirs. Without
// an AST and without findings, a condition that it uses was found wrong.
func (l *language) check(source string) (*cel.Ast, []finding) {
	checked, issues := l.env.Compile(source)
	if issues.Err() != nil {
		return nil, l.describe(source, issues)
	}
	if found := append(misspelt(checked.NativeRep()), l.impossible(checked.NativeRep())...); len(found) > 0 {
		return nil, found
	}
	text, err := l.expand(source)
	switch {
	case errors.Is(err, errBroken):
		return nil, nil
	case err != nil:
		return nil, whole("%s", err)
	case text == source:
		return checked, nil
	}
	if checked, issues = l.env.Compile(text); issues.Err() != nil {
		return nil, whole("with condition.NAME in its place: %s", l.describe(text, issues)[0].message)
	}
	if name := captures(checked); name != "" {
		return nil, whole("a loop's variable is called %s: with named conditions in the expression, call it something else", name)
	}
	return checked, nil
}

// foldNetworks parses cidr("203.0.113.0/24") and ip("203.0.113.9") once, as
// CEL itself does with timestamps and durations; see BenchmarkRule/cidr.
func foldNetworks(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || call.OverloadID() != "string_to_cidr" && call.OverloadID() != "string_to_ip" {
		return i, nil
	}
	if _, constant := call.Args()[0].(interpreter.InterpretableConst); !constant {
		return i, nil
	}
	value := call.Eval(interpreter.EmptyActivation())
	if types.IsError(value) {
		return i, nil // the checker refuses such literals; an error stays one
	}
	return interpreter.NewConstValue(call.ID(), value), nil
}

// whole is a finding about an expression as a whole.
func whole(format string, args ...any) []finding {
	return []finding{{message: fmt.Sprintf(format, args...)}}
}

// forbidden names what the checker lets pass and the rules do not have.
func (l *language) forbidden(checked *cel.Ast) (problem string) {
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case problem != "":
		case e.Kind() == ast.IdentKind && e.AsIdent() == conditionVariable:
			problem = "condition is no value: write condition.NAME"
		case takesAnythingAsOptional(checked.NativeRep(), e):
			problem = "[?x] and {?k: x} take an optional, and x may be anything: write [?optional.of(x)]"
		case e.Kind() == ast.StructKind:
			problem = fmt.Sprintf("%s{…}: rules do not build objects", e.AsStruct().TypeName())
		case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == pseudonymFunction && l.pseudonyms == nil:
			problem = "pseudonym() needs the environment's token.pseudonym_key_file"
		case e.Kind() == ast.CallKind:
			problem = l.functions.misuse(e.AsCall())
		}
	}))
	return problem
}

// takesAnythingAsOptional reports whether a list or map is made with ? of a value
// that may be no optional. The message of that error would hold the value in full,
// each time.
func takesAnythingAsOptional(checked *ast.AST, e ast.Expr) bool {
	isAnything := func(member ast.Expr) bool { return checked.GetType(member.ID()).Kind() == types.DynKind }
	switch e.Kind() {
	case ast.ListKind:
		members := e.AsList().Elements()
		return slices.ContainsFunc(e.AsList().OptionalIndices(), func(i int32) bool { return isAnything(members[i]) })
	case ast.MapKind:
		return slices.ContainsFunc(e.AsMap().Entries(), func(entry ast.EntryExpr) bool {
			return entry.AsMapEntry().IsOptional() && isAnything(entry.AsMapEntry().Value())
		})
	default:
		return false
	}
}

var errNotBool = errors.New("the condition is neither true nor false")

// holds evaluates a condition. An error means that it could not be evaluated:
// it is neither true nor false.
func (e *expression) holds(a *activation) (bool, error) {
	out, err := e.eval(a)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, errNotBool // an unknown; the checker excludes the rest
	}
	return bool(b), nil
}

// constant reports whether the condition has one value whatever the question
// is: it is evaluated with no variables at all, so that reading one is an
// error.
func (e *expression) constant() (value, ok bool) {
	out, err := e.program.runAlone()
	b, isBool := out.(types.Bool)
	return bool(b), err == nil && isBool
}

// sizes bounds the lengths of the variables for the cost estimate. What a
// stranger chooses the length of has no bound here, so that rules that walk
// through it are limited at run time instead.
type sizes struct{}

// EstimateCallCost leaves the functions' costs to CEL.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// EstimateSize bounds the length of a variable's field.
func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	if len(path) < 2 {
		return nil
	}
	for i := range shapes {
		if shapes[i].name != path[0] {
			continue
		}
		for j := range shapes[i].fields {
			if shapes[i].fields[j].name == path[1] {
				return sizeOf(i, j, len(path))
			}
		}
	}
	return nil
}

func sizeOf(shapeIndex, index, depth int) *cost.SizeEstimate {
	size := shapes[shapeIndex].fields[index].size
	if depth > 2 && shapeIndex == requestShape && index == requestParams {
		size = sizeParam // one of its keys or values
	}
	if size == 0 {
		return nil
	}
	estimate := cost.RangedSizeEstimate(0, size)
	return &estimate
}
