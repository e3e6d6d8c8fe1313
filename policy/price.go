package policy

import (
	"math/bits"
	"slices"
	"strings"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// price is how the work of a function grows with its arguments.
type price uint8

const (
	priceFlat      price = iota // it does not: the call's node is the price
	priceScanned                // every text is read once
	priceAdded                  // +: both operands are copied
	priceCompared               // ==: as far as the smaller side goes
	priceOrdered                // <: as far as the shorter text goes
	priceContained              // in: the first argument against every member of a list
	priceCrossed                // every member of one list against every member of another
	priceListed                 // every member of a list is read
	priceSearched               // a text is searched for another by trying every position
	priceReplaced               // a text is copied with replacements
	priceSplit                  // a text is cut into a list
	priceJoined                 // a list is copied into a text
	priceFormatted              // every argument is written into a text
	priceMatched                // a regular expression reads a text
	priceZoned                  // a time zone is loaded
	priceKeyed                  // a text is hashed with a key
	priceClassed                // a text is searched for some fifty words
)

const (
	maxArguments   = 4
	textUnit       = 10 // bytes of a text that are read and copied for one unit, as in CEL's cost
	memoryUnit     = 64 // bytes of a text that are compared for one unit
	searchUnit     = 100
	regexUnit      = 32  // instructions of a regular expression, times bytes of text
	zoneUnits      = 500 // the file of a time zone is read each time
	pseudonymPrice = 10
	classUnit      = 3
	maxPattern     = 1024 // bytes of a regular expression that is made at run time
	patternUnits   = 8    // of a byte of a regular expression that is compiled
	directivePart  = 10   // of a format: a number has at most a hundred digits
)

// priceOf returns the price of each function of the language, by its name.
func priceOf(function string) (price, bool) {
	p, known := prices[function]
	return p, known
}

// priceOfCall returns the price of a call whose overload may be known. Where the
// checker knows the types of the arguments, operators and conversions of numbers
// and times are flat.
func priceOfCall(call interpreter.InterpretableCall) price {
	p, _ := priceOf(call.Function())
	overload := call.OverloadID()
	if p == priceZoned && len(call.Args()) == 1 {
		return priceFlat
	}
	if overload == "" || strings.Contains(overload, "string") || strings.Contains(overload, "bytes") {
		return p
	}
	_, isOperator := operators.FindReverse(call.Function())
	switch {
	case (p == priceOrdered || p == priceAdded) && isOperator && overload != overloads.AddList:
		return priceFlat
	case p == priceScanned && (call.Function() == overloads.Size || overloads.IsTypeConversionFunction(call.Function())):
		return priceFlat
	}
	return p
}

// prices has every function of the language (a test compares). A function that
// is missing would be charged like a constant.
var prices = map[string]price{ //nolint:gochecknoglobals // a constant table
	// Operators. && || ?: and the reading of members choose what is evaluated and
	// do no work of their own.
	"_&&_": priceFlat, "_||_": priceFlat, "_?_:_": priceFlat, "!_": priceFlat, "-_": priceFlat, "@not_strictly_false": priceFlat, "__not_strictly_false__": priceFlat,
	"_*_": priceFlat, "_/_": priceFlat, "_%_": priceFlat, "_-_": priceFlat, "_[_]": priceFlat, "_[?_]": priceFlat, "_?._": priceFlat,
	"_+_": priceAdded, "_==_": priceCompared, "_!=_": priceCompared,
	"_<_": priceOrdered, "_<=_": priceOrdered, "_>_": priceOrdered, "_>=_": priceOrdered,
	"@in": priceContained, "_in_": priceContained, "in": priceContained,
	// Types.
	"type": priceFlat, "dyn": priceFlat, "size": priceScanned, "bool": priceScanned, "bytes": priceScanned, "double": priceScanned, "duration": priceScanned,
	"int": priceScanned, "string": priceScanned, "timestamp": priceScanned, "uint": priceScanned,
	// Texts.
	"contains": priceScanned, "startsWith": priceOrdered, "endsWith": priceOrdered, "matches": priceMatched,
	"charAt": priceScanned, "lowerAscii": priceScanned, "upperAscii": priceScanned, "trim": priceScanned, "substring": priceScanned, "reverse": priceScanned,
	"strings.quote": priceScanned, "indexOf": priceSearched, "lastIndexOf": priceSearched, "replace": priceReplaced, "split": priceSplit, "join": priceJoined, "format": priceFormatted,
	// Times.
	"getFullYear": priceZoned, "getMonth": priceZoned, "getDayOfYear": priceZoned, "getDayOfMonth": priceZoned, "getDate": priceZoned, "getDayOfWeek": priceZoned,
	"getHours": priceZoned, "getMinutes": priceZoned, "getSeconds": priceZoned, "getMilliseconds": priceZoned,
	// Optionals.
	"optional.none": priceFlat, "optional.of": priceFlat, "optional.ofNonZeroValue": priceFlat, "hasValue": priceCompared, "value": priceFlat, "or": priceFlat, "orValue": priceFlat,
	"first": priceFlat, "last": priceFlat, "optional.unwrap": priceListed, "unwrapOpt": priceListed,
	// Sets and numbers.
	"sets.contains": priceCrossed, "sets.equivalent": priceCrossed, "sets.intersects": priceCrossed,
	"math.@min": priceListed, "math.@max": priceListed, "math.ceil": priceFlat, "math.floor": priceFlat, "math.round": priceFlat, "math.trunc": priceFlat,
	"math.isInf": priceFlat, "math.isNaN": priceFlat, "math.isFinite": priceFlat, "math.abs": priceFlat, "math.sign": priceFlat, "math.sqrt": priceFlat,
	"math.bitAnd": priceFlat, "math.bitOr": priceFlat, "math.bitXor": priceFlat, "math.bitNot": priceFlat, "math.bitShiftLeft": priceFlat, "math.bitShiftRight": priceFlat,
	// Networks.
	"cidr": priceScanned, "ip": priceScanned, "isCIDR": priceScanned, "isIP": priceScanned, "ip.isCanonical": priceScanned, "containsIP": priceScanned, "containsCIDR": priceScanned,
	"family": priceFlat, "isGlobalUnicast": priceFlat, "isLinkLocalMulticast": priceFlat, "isLinkLocalUnicast": priceFlat, "isLoopback": priceFlat, "isMask": priceFlat,
	"isUnspecified": priceFlat, "masked": priceFlat, "prefixLength": priceFlat,
	// Our own.
	pseudonymFunction: priceKeyed, inSetFunction: priceScanned, deviceFunction: priceClassed, hostFunction: priceScanned, inDomainFunction: priceScanned,
	inWindowFunction: priceZoned, localFunction: priceZoned,
}

// arguments are those of a call; there are never more.
type arguments [maxArguments]ref.Val

// of returns what a call costs beside its node, before it is made. Where it is
// more than an evaluation may cost, how much more is left open.
func (p price) of(a *arguments) uint64 {
	switch p {
	case priceScanned:
		return scanPrice(a)
	case priceAdded:
		return addPrice(a[0], a[1])
	case priceCompared:
		return comparePrice(a[0], a[1])
	case priceOrdered:
		return min(textLength(a[0]), textLength(a[1])) / memoryUnit
	case priceContained:
		return containPrice(a[0], a[1])
	case priceCrossed:
		return 2 * crossPrice(a[0], a[1]) // sets.equivalent goes both ways
	case priceListed:
		return listPrice(a[0])
	case priceSearched:
		return scanPrice(a) + times(textLength(a[0]), textLength(a[1]))/searchUnit
	case priceReplaced, priceSplit:
		return scanPrice(a) + piecesPrice(p, a)
	case priceJoined:
		return joinPrice(a[0], a[1])
	case priceFormatted:
		return scanPrice(a) + weigh(a[1], maxWork) + directives(a[0])*directivePart
	case priceZoned:
		return zonedPrice(a)
	case priceKeyed:
		return pseudonymPrice + scanPrice(a)
	case priceClassed:
		return textLength(a[0]) / classUnit
	case priceFlat, priceMatched: // a regular expression has its own step
	}
	return 0
}

func times(a, b uint64) uint64 {
	if high, low := bits.Mul64(a, b); high == 0 {
		return low
	}
	return 1 << 63
}

func textLength(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v))
	case types.Bytes:
		return uint64(len(v))
	}
	return 0
}

func scanPrice(a *arguments) uint64 {
	var n uint64
	for _, v := range a {
		n += textLength(v)
	}
	return n / textUnit
}

// addPrice charges both operands, except the list that a comprehension builds:
// that is extended in place.
func addPrice(a, b ref.Val) uint64 {
	switch a.(type) {
	case types.String, types.Bytes:
		return (textLength(a) + textLength(b)) / textUnit
	case traits.MutableLister:
		return 0
	case traits.Lister:
		return weigh(a, maxWork) + weigh(b, maxWork)
	}
	return 0
}

func comparePrice(a, b ref.Val) uint64 {
	if !hasMembers(a) || b == nil || !hasMembers(b) {
		return min(textLength(a), textLength(b)) / memoryUnit
	}
	n := weigh(a, maxWork)
	return min(n, weigh(b, n))
}

// hasMembers reports whether a value is compared member by member.
func hasMembers(v ref.Val) bool {
	switch v.(type) {
	case types.String, types.Bool, types.Double, types.Int, types.Timestamp, types.Null, types.Duration, types.Uint, types.Bytes:
		return false
	case *types.Optional, traits.Lister, traits.Mapper:
		return true
	}
	return false
}

func containPrice(v, in ref.Val) uint64 {
	list, ok := in.(traits.Lister)
	if !ok {
		return textLength(v) / memoryUnit // a look-up in a map
	}
	n := length(list)
	units := times(n, weigh(v, maxWork))
	if units > maxWork && hasMembers(v) {
		units = n + weigh(list, maxWork)
	}
	return units
}

func crossPrice(a, b ref.Val) uint64 {
	x, isList := a.(traits.Lister)
	y, isList2 := b.(traits.Lister)
	if !isList || !isList2 || length(x) == 0 || length(y) == 0 {
		return 0
	}
	return min(times(length(x), weigh(y, maxWork)), times(length(y), weigh(x, maxWork)))
}

func listPrice(v ref.Val) uint64 {
	if list, ok := v.(traits.Lister); ok {
		return weigh(list, maxWork)
	}
	return 0
}

func length(list traits.Lister) uint64 {
	n, _ := list.Size().(types.Int)
	return uint64(max(0, n))
}

// piecesPrice counts what replace and split make. Counting reads the text once,
// which must itself be worth no more than an evaluation.
func piecesPrice(p price, a *arguments) uint64 {
	text, _ := a[0].(types.String)
	sep, _ := a[1].(types.String)
	if len(text)/textUnit > maxWork {
		return maxWork
	}
	pieces := uint64(strings.Count(string(text), string(sep))) //nolint:gosec // not negative
	if p == priceSplit {
		return pieces
	}
	return times(pieces, textLength(a[2])) / textUnit
}

func joinPrice(v, separator ref.Val) uint64 {
	list, ok := v.(traits.Lister)
	if !ok {
		return 0
	}
	n := length(list)
	if n > maxWork {
		return n
	}
	total := times(n, textLength(separator))
	for it := list.Iterator(); it.HasNext() == types.True && total/textUnit <= maxWork; {
		total += textLength(it.Next())
	}
	return n + total/textUnit
}

func directives(format ref.Val) uint64 {
	text, _ := format.(types.String)
	return uint64(strings.Count(string(text), "%")) //nolint:gosec // not negative
}

// zonedPrice charges the loading of a zone where one is named: the first
// argument is the time.
func zonedPrice(a *arguments) uint64 {
	if a[1] == nil {
		return 0
	}
	return zoneUnits + scanPrice(a)
}

// weigh returns how many values there are in a value, with their texts, as they
// would be written out; something above most where that is more than most.
// Reading a value costs as much as weighing it.
func weigh(v ref.Val, most uint64) uint64 {
	s := scale{most: most}
	s.add(v)
	return s.weight
}

type scale struct{ weight, most uint64 }

// add weighs one more value; false: it is too much.
func (s *scale) add(v ref.Val) bool {
	s.weight++
	switch v := v.(type) {
	case types.String, types.Bytes:
		s.weight += textLength(v) / memoryUnit
	case *types.Optional:
		return !v.HasValue() || s.add(v.GetValue())
	case *sortedMap:
		return s.addMembers(v)
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True; {
			if key := it.Next(); !s.add(key) || !s.add(v.Get(key)) {
				return false
			}
		}
	case traits.Lister:
		if !s.addList(v) {
			return false
		}
	}
	return s.weight <= s.most
}

func (s *scale) addList(list traits.Lister) bool {
	if members, ok := list.Value().([]ref.Val); ok {
		return !slices.ContainsFunc(members, func(v ref.Val) bool { return !s.add(v) })
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		if !s.add(it.Next()) {
			return false
		}
	}
	return true
}

func (s *scale) addMembers(m *sortedMap) bool {
	for key, member := range m.vals {
		s.weight += 1 + uint64(len(key))/memoryUnit
		if v, ok := member.(ref.Val); ok && !s.add(v) {
			return false
		}
	}
	return s.weight <= s.most
}
