package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

var integral = regexp.MustCompile(`\A-?[0-9]{1,15}\z`)

// as writes a literal as one of another type; false if it is none of it.
func (d *describer) as(e ast.Expr, wanted string) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	if _, isNull := e.AsLiteral().(types.Null); isNull {
		zero := zeroText(wanted)
		return zero, zero != ""
	}
	number := ""
	text, isText := e.AsLiteral().(types.String)
	switch v := e.AsLiteral().(type) {
	case types.Int:
		number = strconv.FormatInt(int64(v), 10)
	case types.Double:
		number = strconv.FormatFloat(float64(v), 'f', -1, 64)
	case types.String:
		if _, err := strconv.ParseFloat(string(v), 64); err == nil {
			number = string(v)
		}
	case types.Bool:
		return strconv.Quote(strconv.FormatBool(bool(v))), wanted == "string"
	}
	_, isDouble := e.AsLiteral().(types.Double)
	_, isInt := e.AsLiteral().(types.Int)
	switch wanted {
	case "double":
		if integral.MatchString(number) {
			number += ".0"
		}
		return number, number != "" && !isDouble
	case "int":
		return number, integral.MatchString(number) && !isInt
	case "string":
		return strconv.Quote(number), number != "" && !isText
	case "bool":
		written, ok := map[string]string{"true": "true", "false": "false", "1": "true", "0": "false"}[number+strings.ToLower(string(text))]
		return written, ok
	case "duration":
		if integral.MatchString(number) {
			return fmt.Sprintf("duration(%q)", number+"s"), true
		}
		if _, err := time.ParseDuration(string(text)); err == nil && isText {
			return fmt.Sprintf("duration(%q)", string(text)), true
		}
	case "timestamp":
		return d.asTime(string(text), number, isInt)
	}
	return "", false
}

// asTime writes a text or Unix seconds as a timestamp.
func (d *describer) asTime(text, seconds string, isInt bool) (string, bool) {
	if isInt {
		return "timestamp(" + seconds + ")", true
	}
	if text == "" {
		return zeroText("timestamp"), true
	}
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return fmt.Sprintf("timestamp(%q)", text), true
	}
	_, rest, ok := strings.Cut(timeMeant(text), "write ")
	written, _, _ := strings.Cut(rest, ",")
	return written, ok && strings.HasPrefix(timeMeant(text), "it ")
}
