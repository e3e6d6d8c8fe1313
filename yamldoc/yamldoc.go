package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SeveralError is the error of a text with more than one document.
type SeveralError struct{ Line int } // where the second begins

// Error names the line.
func (e *SeveralError) Error() string {
	return fmt.Sprintf("yaml: line %d: want one document, not several", e.Line)
}

// Parse returns the root of the one document that a text holds, nil if it holds
// none. Errors are the library's or a *SeveralError.
func Parse(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(acceptMinor(text)))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0 {
		return nil, nil //nolint:nilnil // nil is no document
	}
	if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, &SeveralError{max(1, more.Line)}
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return document.Content[0], nil
}

// IsExtension reports whether a key is one that documents may use for
// themselves, such as a place for anchors: every schema ignores it.
func IsExtension(key string) bool { return strings.HasPrefix(key, "x-") }

// directive matches the %YAML directive of a text whose version is 1.2 or a
// later 1.x, behind comments and other directives.
var directive = regexp.MustCompile(`\A(?:\x{FEFF})?(?:[ \t]*(?:#.*)?\r?\n|%.*\n)*?%YAML[ \t]+1\.([2-9]|[1-9][0-9]+)(?:[ \t\r\n]|\z)`)

// acceptMinor returns the text with a %YAML directive that the library accepts.
// It reads YAML 1.2 but refuses to be told so, and knows 1.1 only. YAML 1.2.2
// §6.8.1 wants later minor versions read as 1.2. Lines and columns stay.
func acceptMinor(text []byte) []byte {
	found := directive.FindSubmatchIndex(text)
	if found == nil {
		return text
	}
	out := bytes.Clone(text)
	minor := out[found[2]:found[3]]
	copy(minor, "1"+strings.Repeat(" ", len(minor)-1))
	return out
}
