package configs

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/playgate/playgate/playback"
)

// scalar fills a member that is one value. A YAML scalar is taken as it was
// written: an ID of digits stays the text that it is.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, p place) {
	variable, fromEnvironment := d.origin[n]
	source := ""
	if fromEnvironment {
		source = " (from " + variable + ")"
	}
	if n.Kind != yaml.ScalarNode {
		d.report.at(n, p.path, "want %s, not %s", article(typeName(v.Type())), kindOf(n))
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if !fromEnvironment && !accepts(v, n.Tag) {
		d.report.at(n, p.path, "want %s, not %s", article(typeName(v.Type())), kindOf(n))
		return
	}
	dir := d.dir
	if fromEnvironment {
		dir = d.cwd // no file names it
	}
	if err := d.setText(v, n.Value, p.member, dir); err != nil {
		d.report.at(n, p.path, "%s%s", err, source)
	}
}

func article(noun string) string {
	if strings.HasPrefix(noun, "i") {
		return "an " + noun
	}
	return "a " + noun
}

// accepts reports whether a YAML type fits a member's type. Text takes numbers
// too, because IDs may look like them, but not booleans: `viewer_cookie: false`
// is no cookie's name.
func accepts(v reflect.Value, tag string) bool {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration](), v.Kind() == reflect.String, v.Addr().Type().Implements(reflect.TypeFor[scalar]()):
		return tag != "!!bool"
	case v.Kind() == reflect.Bool:
		return tag == "!!bool"
	case v.Kind() == reflect.Int:
		return tag == "!!int"
	case v.Kind() == reflect.Float64:
		return tag == "!!int" || tag == "!!float"
	}
	return tag == "!!str"
}

// setText reads a value's text.
func (d *decoder) setText(v reflect.Value, text string, m *member, dir string) error {
	if s, ok := reflect.TypeAssert[scalar](v.Addr()); ok {
		return s.parse(text)
	}
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		return setDuration(p, text, m)
	case *netip.Prefix:
		return setPrefix(p, text)
	case *Path:
		return setPath(p, text, dir)
	case *DSN:
		return setDSN(p, text, dir)
	}
	switch v.Kind() { //nolint:exhaustive // isScalar lists the kinds
	case reflect.Bool:
		return setBool(v, text, m)
	case reflect.Int:
		return setInt(v, text, m)
	case reflect.Float64:
		return setFloat(v, text)
	default:
		return setString(v, text, m)
	}
}

func setString(v reflect.Value, text string, m *member) error {
	v.SetString(text)
	if values := m.list("enum"); values != nil && !slices.Contains(values, text) {
		if slices.Contains(m.list("later"), text) {
			return fmt.Errorf("%s is not available in this version; want %s", text, oneOf(values))
		}
		return fmt.Errorf("%q: want %s", clipped(text), oneOf(values))
	}
	if id, ok := reflect.TypeAssert[interface{ Valid() bool }](v); ok && text != "" && !id.Valid() {
		return fmt.Errorf("%q does not match %s", clipped(text), m.tag.Get("grammar"))
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) && m.name != "passthrough" {
		return errors.New("must not hold control characters")
	}
	return nil
}

func oneOf(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return "one of " + strings.Join(values, ", ")
}

func setBool(v reflect.Value, text string, m *member) error {
	switch text {
	case "true", "True", "TRUE":
		v.SetBool(true)
	case "false", "False", "FALSE":
		v.SetBool(false)
	default:
		return fmt.Errorf("%q: want true or false", clipped(text))
	}
	if v.Bool() && m.tag.Get("later") == "true" {
		return errors.New("true is not available in this version")
	}
	return nil
}

func setInt(v reflect.Value, text string, m *member) error {
	n, err := wholeNumber(text)
	least, _ := strconv.ParseInt(m.tag.Get("min"), 10, 64) // no tag: 0
	if err != nil || n < least || n > math.MaxInt32 {
		return fmt.Errorf("%q: want an integer of at least %d", clipped(text), least)
	}
	v.SetInt(n)
	return nil
}

func setFloat(v reflect.Value, text string) error {
	// The grammar of parameters is also that of configurations: JSON's numbers.
	_, f, err := playback.CanonicalNumber(text)
	if err != nil || f < 0 {
		return fmt.Errorf("%q: want a number that is not negative", clipped(text))
	}
	v.SetFloat(f)
	return nil
}

func setDuration(p *time.Duration, text string, m *member) error {
	none := m.tag.Get("zero") == "ok"
	if none && text == "" { // "" switches off
		*p = 0
		return nil
	}
	parsed, err := playback.ParseDuration(text)
	if err != nil {
		return err
	}
	if parsed == 0 && !none {
		return errors.New("must be longer than zero")
	}
	*p = parsed
	return nil
}

func setPrefix(p *netip.Prefix, text string) error {
	parsed, err := netip.ParsePrefix(text)
	if err != nil {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			return fmt.Errorf("%q: want a CIDR, such as %s/%d", text, addr, addr.BitLen())
		}
		return fmt.Errorf("%q: want a CIDR, such as 10.0.0.0/8 or fd00::/8", clipped(text))
	}
	if a := parsed.Addr(); a.Is4In6() && parsed.Bits() >= 96 {
		parsed = netip.PrefixFrom(a.Unmap(), parsed.Bits()-96) // as which peers are seen
	}
	*p = parsed.Masked()
	return nil
}

func setPath(p *Path, text, dir string) error {
	if strings.ContainsRune(text, 0) {
		return errors.New("is not a path")
	}
	*p = Path(absolute(dir, text))
	return nil
}

// meta fills a map of metadata: JSON types, numbers as float64, nulls left out.
func (d *decoder) meta(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.report.at(n, path, "want a mapping, not %s", kindOf(n))
		return
	}
	if len(n.Content) > 0 {
		v.Set(reflect.ValueOf(d.object(n, path)))
	}
}

func (d *decoder) object(n *yaml.Node, path string) map[string]any {
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key, value := n.Content[i].Value, n.Content[i+1]; !isNull(value) {
			out[key] = d.plain(value, join(path, key))
		}
	}
	return out
}

func (d *decoder) plain(n *yaml.Node, path string) any {
	switch n.Kind {
	case yaml.MappingNode:
		return d.object(n, path)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			out = append(out, d.plain(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return out
	case yaml.ScalarNode, yaml.DocumentNode, yaml.AliasNode:
	}
	switch n.Tag {
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!null":
		return nil
	case "!!int", "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			d.report.at(n, path, "%q: want a number as in JSON", clipped(n.Value))
		}
		return f
	}
	return n.Value
}
