package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/playgate/playgate/playback"
)

// variablesMeant are names of other rule languages for what this one has.
var variablesMeant = map[string]string{ //nolint:gochecknoglobals // a constant table
	"user": "viewer", "users": "viewer", "subject": "viewer", "principal": "viewer", "me": "viewer", "customer": "viewer", "account": "viewer", "actor": "viewer",
	"identity": "viewer", "auth": "viewer", "self": "viewer", "token": "viewer.claims", "jwt": "viewer.claims", "claim": "viewer.claims",
	"video": "asset", "content": "asset", "media": "asset", "film": "asset", "movie": "asset", "title": "asset", "resource": "asset", "object": "asset",
	"stream": "live_stream", "live": "live_stream", "livestream": "live_stream", "req": "request", "http": "request", "client": "request", "ctx": "request",
	"context": "request", "headers": "request", "geo": "request", "env": "environment", "tenant": "environment", "playback_id": "playback.id", "asset_id": "asset.id",
	"live_stream_id": "live_stream.id", "time": "now", "date": "now", "today": "now", "current_time": "now", "useragent": "request.user_agent", "referer": "request.referrer",
	"entitlements": "viewer.grants", "entitlement": "viewer.grants", "rights": "viewer.grants",
	"none": "null", "nil": "null", "undefined": "null", "true": "true", "false": "false", "null": "null",
}

// functionsMeant are functions of other languages.
var functionsMeant = map[string]string{ //nolint:gochecknoglobals // a constant table
	"lower": "lowerAscii", "tolower": "lowerAscii", "tolowercase": "lowerAscii", "lowercase": "lowerAscii", "downcase": "lowerAscii",
	"upper": "upperAscii", "toupper": "upperAscii", "touppercase": "upperAscii", "uppercase": "upperAscii", "upcase": "upperAscii",
	"len": "size", "length": "size", "count": "size", "strip": "trim", "includes": "contains", "include": "contains", "has_value": "hasValue",
	"starts_with": "startsWith", "hasprefix": "startsWith", "ends_with": "endsWith", "hassuffix": "endsWith", "regex": "matches", "match": "matches", "test": "matches",
	"regexmatch": "matches", "any": "exists", "some": "exists", "every": "all", "date": "timestamp", "datetime": "timestamp", "time": "timestamp", "parsetime": "timestamp",
	"totimestamp": "timestamp", "str": "string", "tostring": "string", "toint": "int", "float": "double", "number": "double", "hour": "getHours", "hours": "getHours",
	"gethour": "getHours", "minute": "getMinutes", "year": "getFullYear", "getyear": "getFullYear", "month": "getMonth", "day": "getDayOfMonth", "weekday": "getDayOfWeek",
	"getday": "getDayOfWeek", "dayofweek": "getDayOfWeek", "max": "math.greatest", "min": "math.least", "abs": "math.abs", "round": "math.round", "floor": "math.floor",
	"get": "orValue", "default": "orValue", "or_value": "orValue", "coalesce": "orValue", "hash": "pseudonym", "sha256": "pseudonym", "hmac": "pseudonym",
	"in_set": "inSet", "domain": "inDomain", "in_domain": "inDomain", "between": "inWindow", "cidrmatch": "cidr", "ipinrange": "cidr",
}

// operatorsMeant are functions of other languages for what CEL has operators for.
var operatorsMeant = map[string]string{ //nolint:gochecknoglobals // a constant table
	"equals": "==", "equal": "==", "eq": "==", "equalsignorecase": "== behind lowerAscii()", "notequals": "!=", "ne": "!=", "isempty": `== ""`, "empty": `== ""`,
	"isnull": "== null", "not": "!", "and": "&&", "or": "||", "oneof": "in [ ]", "isin": "in [ ]", "memberof": "in [ ]", "containskey": `"name" in`, "haskey": `"name" in`,
	"has_key": `"name" in`, "gt": ">", "lt": "<", "gte": ">=", "lte": "<=", "concat": "+",
}

// undeclared says what is meant by a name that there is not.
func (d *describer) undeclared(name string, e ast.Expr) string {
	if e != nil && e.Kind() == ast.CallKind {
		return d.undeclaredFunction(name, e.AsCall())
	}
	if d.language.conditions.texts[name] != nil {
		return fmt.Sprintf("there is no variable %s; did you mean %s.%s?", name, conditionVariable, name)
	}
	text := "there is no variable " + name
	if e != nil {
		if parent := d.parents[e.ID()]; parent != nil && parent.Kind() == ast.CallKind && parent.AsCall().FunctionName() == operators.Subtract {
			if left := parent.AsCall().Args()[0]; left.ID() != e.ID() && left.Kind() == ast.SelectKind {
				return fmt.Sprintf("%s; a name with - stands in brackets: %s[?%q]", text, d.text(left.AsSelect().Operand()), left.AsSelect().FieldName()+"-"+name)
			}
		}
	}
	if meant := variablesMeant[strings.ToLower(name)]; meant != "" && meant != name {
		return text + "; did you mean " + meant + "?"
	}
	if fields := fieldsNamed(name); len(fields) > 0 {
		return text + "; did you mean " + strings.Join(fields, " or ") + "?"
	}
	if word := nearest(name, variableNames()); word != "" {
		return text + "; did you mean " + word + "?"
	}
	if slices.Contains(d.functionNames(), name) {
		return fmt.Sprintf("%s is a function: write %s(…)", name, name)
	}
	return fmt.Sprintf("%s; a text stands in quotes: %q", text, name)
}

func (d *describer) undeclaredFunction(name string, call ast.CallExpr) string {
	base := name[strings.LastIndexByte(name, '.')+1:]
	if isVariable(name) {
		return fmt.Sprintf("%s is no function: write %s, without parentheses", name, name)
	}
	if slices.Contains([]string{"exists", "all", "exists_one", "filter", "map"}, name) {
		return fmt.Sprintf("%s() takes a variable and a condition: viewer.grants.%s(g, g.type == \"rental\")", name, name)
	}
	text := fmt.Sprintf("there is no function %s()", name)
	folded := strings.ToLower(base)
	if meant := operatorsMeant[folded]; meant != "" {
		return text + ": write " + meant
	}
	meant := functionsMeant[folded]
	if meant == "" {
		meant = nearest(base, d.functionNames())
		if qualified := nearest(name, d.functionNames()); strings.Contains(name, ".") && qualified != "" {
			meant = qualified
		}
	}
	if meant == "" {
		return text
	}
	if call.IsMemberFunction() && meant == "contains" {
		return text + "; did you mean contains() (of a text), or in (of a list)?"
	}
	return text + "; did you mean " + meant + "()?"
}

// fieldsNamed lists the fields of variables that have the name.
func fieldsNamed(name string) (fields []string) {
	for i := range shapes {
		for _, f := range shapes[i].fields {
			if f.name == name {
				fields = append(fields, shapes[i].name+"."+name)
			}
		}
	}
	return fields
}

func variableNames() []string {
	names := []string{"now"}
	for i := range shapes {
		names = append(names, shapes[i].name)
	}
	return names
}

// functionNames are the functions that a rule can call by name, sorted.
func (d *describer) functionNames() []string {
	names := []string{"has", "exists", "all", "exists_one", "filter", "map", "optMap", "optFlatMap", "math.greatest", "math.least"}
	for f := range d.language.env.Functions() {
		if !strings.ContainsAny(f, "_@!-") {
			names = append(names, f)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// undefinedField says what is meant by a field that a variable does not have.
func (d *describer) undefinedField(name string, e ast.Expr) string {
	variable := ""
	if e != nil && e.Kind() == ast.SelectKind && e.AsSelect().Operand().Kind() == ast.IdentKind {
		variable = e.AsSelect().Operand().AsIdent()
	}
	if variable == conditionVariable {
		return fmt.Sprintf("there is no condition %s%s", name, didYouMean(name, d.language.conditions.names()))
	}
	text := fmt.Sprintf("undefined field '%s'", name)
	var own []string
	for i := range shapes {
		if shapes[i].name != variable {
			continue
		}
		text = fmt.Sprintf("%s has no field %s", variable, name)
		for _, f := range shapes[i].fields {
			own = append(own, f.name)
		}
	}
	if word := nearest(name, own); word != "" {
		return text + "; did you mean " + word + "?"
	}
	if fields := fieldsNamed(name); len(fields) > 0 {
		return text + "; did you mean " + strings.Join(fields, " or ") + "?"
	}
	switch {
	case slices.Contains(d.language.conditions.names(), name):
		return fmt.Sprintf("%s; did you mean %s.%s?", text, conditionVariable, name)
	case variable == "viewer":
		return fmt.Sprintf("%s; what the token says is in viewer.claims.?%s", text, name)
	case variable == "asset":
		return fmt.Sprintf("%s; what Mux keeps of it for you is in asset.meta.?%s", text, name)
	case variable == "request" && playback.IsParamName(name):
		return fmt.Sprintf("%s; parameters are in request.params.?%s", text, name)
	}
	return text + didYouMean(name, d.everyField())
}

func (d *describer) everyField() (all []string) {
	for i := range shapes {
		for _, f := range shapes[i].fields {
			if !slices.Contains(all, f.name) {
				all = append(all, f.name)
			}
		}
	}
	return all
}
