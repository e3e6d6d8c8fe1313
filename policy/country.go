package policy

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/playgate/playgate/playback"
)

// isoCountries are the countries of ISO 3166-1, one a line: alpha-2, alpha-3, the
// English names that people write. XK (Kosovo) is not one of them: ISO leaves the
// code to its users, and MaxMind and CLDR use it.
//
//go:embed countries.txt
var isoCountries string

// isoReserved are codes that ISO 3166-1 assigns to no country now: reserved,
// once assigned (ISO 3166-3), or free for anybody's own use. Databases and proxies
// send some of them, so a rule may name them. UK is left out: what is meant is GB.
const isoReserved = "AC AP CP CQ DG EA EU EZ FX IC SU TA UN " + // AP: Asia and the Pacific, of databases
	"AN BU CS CT DD DY FQ HV JT MI NH NQ NT PC PU PZ RH SF TP VD WK YD YU ZR"

// codeMistakes are codes that people write and that no country has.
var codeMistakes = map[string]string{ //nolint:gochecknoglobals // a constant table
	"UK": "GB", "EL": "GR", "EN": "GB", "T1": playback.UnknownCountry, "A1": playback.UnknownCountry, "A2": playback.UnknownCountry,
	"O1": playback.UnknownCountry, "": playback.UnknownCountry, "UNKNOWN": playback.UnknownCountry, "NONE": playback.UnknownCountry,
	"NULL": playback.UnknownCountry, "**": playback.UnknownCountry, "??": playback.UnknownCountry, "--": playback.UnknownCountry,
}

// countryNames finds a country's code by what people call it.
type countryNames struct {
	codes  []string          // alpha-2, with XK and ZZ
	byName map[string]string // folded names and alpha-3 codes to alpha-2
	names  []string          // folded, for typing errors
}

var countryTable = newCountryNames() //nolint:gochecknoglobals // a constant table

func newCountryNames() countryNames {
	t := countryNames{byName: map[string]string{}}
	for line := range strings.Lines(isoCountries) {
		code, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		alpha3, names, _ := strings.Cut(rest, " ")
		t.codes = append(t.codes, code)
		t.byName[foldName(alpha3)] = code
		for name := range strings.SplitSeq(names, "/") {
			t.byName[foldName(name)] = code
			t.names = append(t.names, foldName(name))
		}
	}
	t.codes = append(t.codes, playback.UnknownCountry)
	return t
}

// foldName leaves the letters of a name, in lower case.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r | 0x20
		case r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, name)
}

// countryMeant returns the code that was probably meant, "" if none is near.
func countryMeant(written string) string {
	upper := strings.ToUpper(strings.TrimSpace(written))
	if code, ok := codeMistakes[upper]; ok {
		return code
	}
	if slices.Contains(countryTable.codes, upper) {
		return upper
	}
	if code := countryTable.byName[foldName(written)]; code != "" {
		return code
	}
	if parts := strings.FieldsFunc(written, func(r rune) bool { return r == '-' || r == '_' }); len(parts) == 2 {
		return countryOf(parts[0], parts[1])
	}
	if len(written) > 3 {
		return countryTable.byName[nearest(foldName(written), countryTable.names)]
	}
	return ""
}

// countryOf finds the country in US-CA (a subdivision of ISO 3166-2) and in en-US
// (a locale).
func countryOf(first, second string) string {
	if slices.Contains(countryTable.codes, first) {
		return first
	}
	if upper := strings.ToUpper(second); slices.Contains(countryTable.codes, upper) {
		return upper
	}
	return ""
}

// isReservedCountry reports whether a code is no country's, but may come from a
// database, a proxy or a backend that uses it.
func isReservedCountry(code string) bool {
	if len(code) != 2 {
		return false
	}
	userAssigned := code == "AA" || code[0] == 'Q' && code[1] >= 'M' && code[1] <= 'Z' || code[0] == 'X' && code[1] >= 'A' && code[1] <= 'Z'
	return userAssigned || slices.Contains(strings.Fields(isoReserved), code)
}
