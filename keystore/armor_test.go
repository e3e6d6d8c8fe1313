package keystore_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
)

// replace returns a function that replaces every old in a text.
func replace(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

// between replaces the line breaks of a text, but for the last one.
func between(with string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", with) + "\n" }
}

func prefix(with string) func(string) string { return func(text string) string { return with + text } }

func encode(e *base64.Encoding) func(string) string {
	return func(text string) string { return e.EncodeToString([]byte(text)) }
}

// lines breaks a text into lines of 76 characters.
func lines(end string) func(string) string {
	return func(text string) string { return wrap(text, end) }
}

// onOneLine joins the lines between the labels.
func onOneLine(text string) string {
	return regexp.MustCompile(`([^-])\n([^-])`).ReplaceAllString(text, "$1$2")
}

func inJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(quoted)
}

// TestParseRepairsWhatOperatorsHave: what environment variables, YAML, editors
// and dashboards do to a key is undone and named. Mux's SDKs take most of it.
func TestParseRepairsWhatOperatorsHave(t *testing.T) {
	t.Parallel()
	const (
		spaces, none, indented = "spaces in place of its line breaks", "no line breaks", "indented lines"
		escaped, cr, mark      = `line breaks written as \n`, "line ends with a carriage return", "a byte order mark"
		quotes, within, label  = "quotation marks around it", "spaces within its lines", "no line break beside its label"
		long, empty, asJSON    = "lines of more than 76 characters", "empty lines", "characters escaped as in JSON"
		white, urlSafe, bare   = "white space within its base64", "base64 of the URL-safe alphabet", "base64 without its padding"
	)
	std := encode(base64.StdEncoding)
	type step = func(string) string
	for _, c := range []struct {
		name    string
		steps   []step
		repairs []string
	}{
		{"spaces for line breaks", []step{between(" ")}, []string{spaces}},
		{"two spaces, as of CRLF", []step{between("  ")}, []string{spaces}},
		{"tabs for line breaks", []step{between("\t")}, []string{spaces}},
		{"no line breaks at all", []step{between("")}, []string{none}},
		{"one line between the labels", []step{onOneLine}, []string{long}},
		{"a label on the first line", []step{replace("KEY-----\n", "KEY-----")}, []string{label}},
		{"indented, as in YAML", []step{between("\n    ")}, []string{indented}},
		{"indented by tabs, the first line too", []step{between("\n\t"), prefix("\t")}, []string{indented}},
		{"indented with no-break spaces, as copied from a page", []step{between("\n\u00a0\u00a0")}, []string{indented}},
		{"spaces at the ends of lines", []step{between(" \n")}, []string{within}},
		{"empty lines between", []step{between("\n\n")}, []string{empty}},
		{`\n for line breaks`, []step{between(`\n`)}, []string{escaped}},
		{`\r\n for line breaks`, []step{between(`\r\n`)}, []string{escaped}},
		{`\\n for line breaks`, []step{between(`\\n`)}, []string{escaped}},
		{"lines that a shell continues", []step{between("\\\n")}, []string{escaped}},
		{"a JSON string", []step{inJSON}, []string{quotes, escaped}},
		{"a JSON string of PHP", []step{inJSON, replace("/", `\/`)}, []string{quotes, escaped, asJSON}},
		{"a JSON string of .NET", []step{inJSON, replace("+", `\u002B`)}, []string{quotes, escaped, asJSON}},
		{"quotation marks, as docker --env-file leaves them", []step{between(`\n`), func(s string) string { return `"` + s + `"` }}, []string{quotes, escaped}},
		{"apostrophes", []step{func(s string) string { return "'" + s + "'" }}, []string{quotes}},
		{"CRLF", []step{replace("\n", "\r\n")}, []string{cr}},
		{"CR alone", []step{replace("\n", "\r")}, []string{cr}},
		{"a byte order mark", []step{prefix("\ufeff")}, []string{mark}},
		{"a byte order mark and CRLF", []step{replace("\n", "\r\n"), prefix("\ufeff")}, []string{mark, cr}},
		{"the URL-safe alphabet between the labels", []step{replace("+", "-", "/", "_")}, []string{urlSafe}},

		{"base64 in lines of 76", []step{std, lines("\n")}, []string{white}},
		{"base64 in lines that end with CRLF", []step{std, lines("\r\n")}, []string{cr, white}},
		{"base64 in indented lines", []step{std, lines("\n  ")}, []string{white}},
		{"base64 with spaces for line breaks", []step{std, lines(" ")}, []string{white}},
		{`base64 with \n for line breaks`, []step{std, lines(`\n`)}, []string{escaped, white}},
		{"base64 in quotation marks", []step{std, inJSON}, []string{quotes}},
		{"base64 after a byte order mark", []step{std, prefix("\ufeff")}, []string{mark}},
		{"base64 without padding", []step{encode(base64.RawStdEncoding)}, []string{bare}},
		{"URL-safe base64", []step{prefix("\ufeff"), encode(base64.URLEncoding)}, []string{urlSafe, mark}},
		{"URL-safe base64 without padding, in lines", []step{prefix("\ufeff"), encode(base64.RawURLEncoding), lines("\n")}, []string{white, urlSafe, bare, mark}},
		{"base64 of PEM with spaces", []step{between(" "), std}, []string{spaces}},
		{`base64 of PEM with \n`, []step{between(`\n`), std}, []string{escaped}},
		{"base64 of PEM with CRLF", []step{replace("\n", "\r\n"), std}, []string{cr}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mangle := func(text []byte) []byte {
				material := string(text)
				for _, do := range c.steps {
					material = do(material)
				}
				return []byte(material)
			}
			material := mangle(keystoretest.PEM(t, 1))
			key, repairs, err := keystore.Parse(material)
			if err != nil || !key.Equal(keystoretest.Private(t, 1)) || !slices.Equal(repairs, c.repairs) {
				t.Fatalf("Parse = %v, repaired %q, want %q", err, repairs, c.repairs)
			}
			stored, same, err := keystore.WellFormed(material)
			if err != nil || !slices.Equal(same, repairs) {
				t.Errorf("WellFormed = %v, repaired %q", err, same)
			}
			if again, more, err := keystore.Parse(stored); err != nil || len(more) > 0 || !again.Equal(key) {
				t.Errorf("what is to be stored is read with %v, repaired %q", err, more)
			}
			if key, _, err := keystore.Parse(mangle(keystoretest.PKCS8(t, 1))); err != nil || !key.Equal(keystoretest.Private(t, 1)) {
				t.Errorf("PKCS#8: Parse = %v", err)
			}
		})
	}
}

func TestWhatIsWellFormedStaysAsItIs(t *testing.T) {
	t.Parallel()
	for name, material := range map[string][]byte{
		"PKCS#1": keystoretest.PEM(t, 1), "PKCS#8": keystoretest.PKCS8(t, 1), "base64": keystoretest.Base64(t, 1), "nonsense": []byte("hunter2"),
	} {
		stored, repairs, err := keystore.WellFormed(material)
		if !bytes.Equal(stored, material) || len(repairs) > 0 || (err != nil) != (name == "nonsense") {
			t.Errorf("%s: repaired %q, %v, or changed", name, repairs, err)
		}
	}
}

func TestAKeyThatWasRepairedLoadsWithAWarning(t *testing.T) {
	t.Parallel()
	material := between(" ")(string(keystoretest.PEM(t, 1)))
	set, problems, err := keystore.Assemble([]keystore.Record{
		keystore.NewRecord("K1", "keys/acme/K1.pem", []byte(material), keystore.Life{State: keystore.Active}),
		keystore.NewRecord("K2", "keys/acme/K2.pem", keystoretest.PEM(t, 2), keystore.Life{State: keystore.Prepared}),
	})
	if err != nil || len(set.Keys) != 2 || len(problems) != 1 {
		t.Fatalf("Assemble = %v, %v, %v", set.Keys, problems, err)
	}
	want := "keys/acme/K1.pem: was repaired to be read, because it had spaces in place of its line breaks; " +
		"store it as PEM with its line breaks, or as base64 of that in one line"
	if got := problems[0]; got.String() != want || !got.Warning {
		t.Errorf("problem %v, want the warning %s", got, want)
	}
}
