package configs

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

//go:generate go test . -run TestTheReferenceIsCurrent -update

// Reference returns docs/configuration.md: every member with its type, default
// and meaning, from the tags of the Config tree. `go generate ./configs` writes
// it, a test checks that it is current.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	section(&b, reflect.TypeFor[Config](), "", "")
	return b.String()
}

const referenceHead = `# Configuration

<!-- Generated from configs/*.go by "go generate ./configs". Do not edit. -->

One YAML file; JSON is YAML. It is read strictly: an unknown or repeated key, or a value of another type, is an error.
` + "`playgate check-config FILE`" + ` reports all of them at once, each with its path and line, and prints the effective
configuration.

- A member that is left out, is ` + "`null`" + `, or is an empty map takes its default. ` + "`\"\"` or `[]`" + ` switches off.
- **Durations** are integer seconds, or ` + "`90s` `15m` `1h` `7d`" + `; zero is invalid except where the meaning says otherwise.
- **Sizes** are bytes, or ` + "`64KiB` `256MiB` `1GiB`" + ` (and ` + "`KB` `MB` `GB`" + ` in powers of ten).
- **Rates** are ` + "`120-M`" + `: a number and S, M, H or D for second, minute, hour or day.
- **Paths** that are relative start where the file that names them is. Those in environment variables start at the
  working directory.
- **Secrets** stand in files of their own (` + "`…_file`" + `). White space around them is dropped.
- **Environment variables** override any scalar that is in no list: ` + "`PLAYGATE_SERVER_LISTEN`" + ` is
  ` + "`server.listen`" + `. An empty value is ` + "`\"\"`" + `. A ` + "`PLAYGATE_*`" + ` variable that names nothing is ignored
  with a log line.
- Keys that begin with ` + "`x-`" + ` are ignored at every level: a place for anchors. ` + "`%YAML 1.2`" + ` may stand at the beginning.
- Anchors, aliases and merges (` + "`<<`" + `) work. Numbers are taken as IDs literally: ` + "`id: 0123`" + ` is the text 0123.
- Members marked **restart** keep their value when SIGHUP reloads the file; the log says so.
`

// section writes the table of a section, then those of the sections inside.
func section(b *strings.Builder, t reflect.Type, path, doc string) {
	members := membersOf(t)
	if path != "" {
		fmt.Fprintf(b, "\n## %s\n\n%s\n", code(path), paragraph(doc))
	}
	b.WriteString("\n| member | type | default | meaning |\n|---|---|---|---|\n")
	for i := range members {
		m := &members[i]
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.name, typeName(m.typ), defaultOf(m), cell(meaning(m)))
	}
	for i := range members {
		m := &members[i]
		inner := sectionOf(m.typ)
		if inner == nil {
			continue
		}
		at := join(path, m.name)
		if m.typ.Kind() == reflect.Slice {
			at += "[]"
		}
		section(b, inner, at, m.tag.Get("doc"))
	}
}

// paragraph breaks a text into lines of at most 120 characters.
func paragraph(text string) string {
	const limit = 120
	var b strings.Builder
	width := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case width == 0:
		case width+1+n > limit:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String()
}

func code(s string) string { return "`" + s + "`" }

// cell escapes what would end a cell of a table, or be taken for HTML.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace(s)
}

func defaultOf(m *member) string {
	text, ok := m.tag.Lookup("default")
	if shown := m.tag.Get("shown"); shown != "" {
		text, ok = shown, true
	}
	switch {
	case m.tag.Get("required") == "true":
		return "*required*"
	case m.typ.Kind() == reflect.Slice:
		return "`[]`"
	case !ok && m.typ.Kind() == reflect.Pointer:
		return "unknown"
	case !ok:
		return "`{}`"
	case text == "":
		return "`\"\"`"
	}
	return code(text)
}

func meaning(m *member) string {
	var b strings.Builder
	if values := m.list("enum"); len(values) > 1 {
		fmt.Fprintf(&b, "One of %s. ", strings.Join(values, ", "))
	}
	b.WriteString(m.tag.Get("doc"))
	switch m.tag.Get("restart") {
	case "true":
		b.WriteString(" **restart**")
	case "switch":
		b.WriteString(" **restart** to switch it on or off.")
	}
	return b.String()
}
