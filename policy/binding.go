package policy

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// bindingsOf returns the functions of an environment by overload and by name, as
// cel-go's planner finds them. Those whose work their price does not bound are
// replaced.
func bindingsOf(env *cel.Env) (map[string]*functions.Overload, error) {
	bindings := map[string]*functions.Overload{}
	for _, f := range env.Functions() {
		all, err := f.Bindings()
		if err != nil {
			return nil, fmt.Errorf("the function %s: %w", f.Name(), err)
		}
		for _, o := range all {
			bindings[o.Operator] = o
		}
	}
	bindings[operators.Add] = copyingAdd(bindings[operators.Add])
	for _, name := range []string{"join", "list_join", "list_join_string"} {
		bindings[name] = joiningTexts(bindings[name])
	}
	return bindings, nil
}

// copyingAdd adds lists by copying them. cel-go's sum of two lists refers to both,
// so that reading a member of a sum of sums takes as many steps as there are sums.
func copyingAdd(add *functions.Overload) *functions.Overload {
	next := *add
	next.Binary = func(a, b ref.Val) ref.Val {
		if _, inPlace := a.(traits.MutableLister); inPlace {
			return add.Binary(a, b)
		}
		x, isList := a.(traits.Lister)
		y, isList2 := b.(traits.Lister)
		if !isList || !isList2 {
			return add.Binary(a, b)
		}
		members := make([]ref.Val, 0, length(x)+length(y))
		for _, list := range []traits.Lister{x, y} {
			if raw, ok := list.Value().([]ref.Val); ok {
				members = append(members, raw...)
				continue
			}
			for it := list.Iterator(); it.HasNext() == types.True; {
				members = append(members, it.Next())
			}
		}
		return listOf(members)
	}
	return &next
}

// joiningTexts refuses a list of anything but texts: cel-go's message would hold
// the first other member in full.
func joiningTexts(join *functions.Overload) *functions.Overload {
	next := *join
	problem := func(list ref.Val) ref.Val {
		if it, ok := iterate(list); ok {
			for it.HasNext() == types.True {
				if member := it.Next(); member.Type() != types.StringType {
					return types.NewErr("join() takes texts, and the list holds %s", article(member.Type().TypeName()))
				}
			}
		}
		return nil
	}
	if join.Unary != nil {
		next.Unary = func(list ref.Val) ref.Val {
			if p := problem(list); p != nil {
				return p
			}
			return join.Unary(list)
		}
	}
	if join.Binary != nil {
		next.Binary = func(list, separator ref.Val) ref.Val {
			if p := problem(list); p != nil {
				return p
			}
			return join.Binary(list, separator)
		}
	}
	if join.Function != nil {
		next.Function = func(args ...ref.Val) ref.Val {
			if p := problem(args[0]); p != nil {
				return p
			}
			return join.Function(args...)
		}
	}
	return &next
}
