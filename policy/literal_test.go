package policy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// TestTextsThatCanNeverComeAreErrors: a comparison of something of which all that
// can come is known with a text that cannot, in any direction and through whatever
// can be followed, is an error at load, with what was probably meant.
func TestTextsThatCanNeverComeAreErrors(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		`request.country in ["ru", "Russia"]`:                                              `request.country is never "Russia": it is a two-letter code of ISO 3166-1, or ZZ where it is unknown; did you mean "RU"?`,
		`request.country == "UK"`:                                                          `did you mean "GB"?`,
		`"UK" != request.country`:                                                          `did you mean "GB"?`,
		`request.country == ""`:                                                            `did you mean "ZZ"?`,
		`request.country == "T1"`:                                                          `did you mean "ZZ"?`,
		`request.country == "USA"`:                                                         `did you mean "US"?`,
		`request.country == "Germnay"`:                                                     `did you mean "DE"?`,
		`request.country == "en-US"`:                                                       `did you mean "US"?`,
		`request.country == "US-CA"`:                                                       `did you mean "US"?`,
		`request.?country.orValue("") in ["DE", "Austria"]`:                                `did you mean "AT"?`,
		`request.country == (viewer.authenticated ? "DE" : "uk")`:                          `did you mean "GB"?`,
		`(viewer.authenticated ? request.country : "none") == "ru"`:                        `did you mean "RU"?`,
		`request.country.lowerAscii() == "RU"`:                                             `request.country.lowerAscii() is never "RU"`,
		`request.country.lowerAscii() in ["russia"]`:                                       `did you mean "ru"?`,
		`request.country in ["DE"] + ["uk"]`:                                               `did you mean "GB"?`,
		`request.country == "R" + "u"`:                                                     `is never "Ru"`,
		`request.country in "ru,by".split(",")`:                                            `is never "ru"`,
		`["ru"].exists(c, c == request.country)`:                                           `request.country is never "ru"`,
		`["RU", "by"].exists(c, request.country == c.upperAscii().lowerAscii())`:           `request.country is never "ru"`,
		`["DE", "uk"].filter(c, c == request.country).size() > 0`:                          `request.country is never "uk"`,
		`sets.contains(["DE", "uk"], [request.country])`:                                   `request.country is never "uk"`,
		`sets.intersects([request.country], ["uk"])`:                                       `request.country is never "uk"`,
		`[request.country, request.type] == ["DE", "film"]`:                                `request.type is never "film"`,
		`request.country in {"DE": 1, "uk": 2}`:                                            `request.country is never "uk"`,
		`dyn(request.country) == "uk"`:                                                     `is never "uk"`,
		`request.?country.optMap(c, c == "uk").orValue(false)`:                             `is never "uk"`,
		`viewer.grants.exists(g, g.type == "rent")`:                                        `g.type is never "rent": it is subscription, purchase, rental or ticket, or "" where it is unknown; did you mean "rental"?`,
		`viewer.grants.exists(g, g.?type.orValue("") == "buy")`:                            `did you mean "purchase"?`,
		`"rent" in viewer.grants.map(g, g.type)`:                                           `did you mean "rental"?`,
		`sets.intersects(viewer.grants.filter(g, g.id != "").map(g, g["type"]), ["svod"])`: `did you mean "subscription"?`,
		`viewer.grants.all(g, g.scope.all == true && g.type in ["rental", "tickets"])`:     `did you mean "ticket"?`,
		`size(viewer.grants) > 0 && viewer.grants[0].type == "rentals"`:                    `did you mean "rental"?`,
		`playback.policy == "private"`:                                                     `playback.policy is never "private": it is public, signed or drm, or "" where it is unknown; did you mean "signed"?`,
		`playback.policy != "DRM"`:                                                         `did you mean "drm"?`,
		`request.type == "playback"`:                                                       `did you mean "video"?`,
		`request.type in ["video", "thumbnails"]`:                                          `did you mean "thumbnail"?`,
		`asset.status == "failed"`:                                                         `did you mean "errored"?`,
		`live_stream.status == "live"`:                                                     `did you mean "active"?`,
		`device(request.user_agent) == "mobile"`:                                           `device(request.user_agent) is never "mobile": it is bot, console, tv, tablet, phone, desktop or unknown; did you mean "phone"?`,
		`device(request.user_agent) in ["tv", "smarttv"]`:                                  `did you mean "tv"?`,
		`device(request.user_agent) == ""`:                                                 `did you mean "unknown"?`,
		`false && true ? request.type == "film" : false`:                                   `request.type is never "film"`,
	} {
		for _, effect := range []string{"allow", "deny"} {
			_, err := policy.Compile([]byte(strings.Replace(when(condition), "allow", effect, 1)), policy.Options{})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s (%s): %v, want %s", condition, effect, err, want)
			}
		}
	}
}

// TestTextsThatMayComeAreNoErrors: what has a meaning, however rarely, compiles.
func TestTextsThatMayComeAreNoErrors(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{
		`request.country in ["DE", "XK", "ZZ"]`, `request.country == "EU" || request.country == "AN"`, `request.country.lowerAscii() == "ru"`,
		`request.country.lowerAscii() == "eu"`, `request.?country.orValue("none") == "none"`, `(has(request.country) ? request.country : "") == ""`,
		`viewer.claims.?country.orValue("none") == request.country`, `viewer.claims.country == "Russia"`, `request.region == "ru"`,
		`asset.meta.?countries.orValue(["none"]).exists(c, c == request.country)`, `{"DE": "x", "default": "y"}[?request.country].orValue("none") == "y"`,
		`[{"country": "Russia"}].exists(request, request.country == "Russia")`, `["Russia"].exists(request, request == "Russia")`,
		`request.country + "-" + request.region == "DE-BY"`, `[request.country, viewer.id].exists(x, x == "u1")`, `"u1" in [request.country, viewer.id]`,
		`(viewer.authenticated ? request.country : viewer.id) == "u1"`, `playback.policy == ""`, `asset.status in ["", "ready"]`, `live_stream.status != ""`,
		`viewer.grants.exists(g, g.type != "")`, `viewer.grants.exists(g, g.attributes.type == "rent")`, `viewer.claims.type == "rent"`,
		`request.type == (viewer.authenticated ? "video" : "gif")`, `device("curl/8") == "bot"`, `request.country in []`, `request.country in viewer.claims.countries`,
		`sets.contains(viewer.claims.?countries.orValue(["none"]), [request.country])`, `request.country.substring(0, 1) == "D"`,
		`(viewer.authenticated ? request.country : request.country.lowerAscii()) == "de"`, `request.country.size() == 2 && "uk" != viewer.id`,
		`viewer.grants.map(g, g.type + "/" + g.id).exists(x, x == "rent/1")`, `viewer.grants.exists(g, g.id in ["rent"])`,
	} {
		if _, err := policy.Compile([]byte(when(condition)), policy.Options{}); err != nil {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

// TestEveryCountryIsLegal: those of ISO 3166-1, the unknown one, Kosovo, and the
// codes that ISO reserves, of which there is a warning.
func TestEveryCountryIsLegal(t *testing.T) {
	t.Parallel()
	silent, warned := 0, []string{}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			warnings, err := policy.Check([]byte(when(fmt.Sprintf("request.country == %q", code))), policy.Options{}, nil)
			switch {
			case err != nil:
			case len(warnings) == 0:
				silent++
			default:
				warned = append(warned, code)
			}
		}
	}
	if silent != 249+2 {
		t.Errorf("%d countries, want the 249 of ISO 3166-1, XK and ZZ", silent)
	}
	for _, code := range []string{"EU", "AP", "AN", "SU", "YU", "CS", "TP", "XX", "AA", "QO"} {
		if !slices.Contains(warned, code) {
			t.Errorf("%s is no warning", code)
		}
	}
	for _, code := range []string{"UK", "EL", "EN"} {
		if slices.Contains(warned, code) {
			t.Errorf("%s is a warning, want an error", code)
		}
	}
}

// TestTextsThatHardlyComeAreWarnings: where not all that can come is known, but
// the form of the text says that it cannot.
func TestTextsThatHardlyComeAreWarnings(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		`request.ip == "203.0.113.0/24"`:                             `request.ip is never "203.0.113.0/24": it is one address; write isIP(request.ip) && cidr("203.0.113.0/24").containsIP(request.ip)`,
		`request.ip in ["203.0.113.300"]`:                            `it is an address such as`,
		`request.ip == "2001:DB8::1"`:                                `the address is written 2001:db8::1`,
		`request.origin == "https://acme.example/"`:                  `it has no path and no capital letters: "https://acme.example"`,
		`request.origin in ["acme.example"]`:                         `inDomain(request.origin, "acme.example")`,
		`request.region == "DE-BY"`:                                  `without the country in front it is "BY"`,
		`playback.id == "film-1"`:                                    `a Mux ID has letters and digits only`,
		`asset.id in ["a b"]`:                                        `a Mux ID`,
		`viewer.issuer == "https://id.acme.example/"`:                `it is the issuer's alias (viewers[].alias), not its URL`,
		`viewer.issuer in ["main", "google"]`:                        `viewer.issuer is never "google": the environment's issuers are main, partner`,
		`viewer.issuer == "mian"`:                                    `the environment's issuers are main, partner; did you mean main?`,
		`environment.id == "Acme Prod"`:                              `lower-case letters`,
		`request.session_id == "s 1"`:                                `a session ID has`,
		`request.params.?max_resolution.orValue("") == "4k"`:         `want one of 270p`,
		`request.params.width == "100"`:                              `it is no text: compare it with 100`,
		`request.country == "XX"`:                                    `a country that is not known is ZZ`,
		`{"DE": true, "uk": false}[?request.country].orValue(false)`: `request.country is never "uk"`,
		`request.country.startsWith("de")`:                           `is never true: request.country is a two-letter code`,
		`request.country.matches("^(ru|by)$")`:                       `is never true`,
		`"ru,by".contains(request.country)`:                          `is never true`,
		`asset.status.contains("fail")`:                              `is never true`,
	} {
		warnings, err := policy.Check([]byte(when(condition)), policy.Options{Issuers: []string{"main", "partner"}}, nil)
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], want) {
			t.Errorf("%s: %q, %v, want %s", condition, warnings, err, want)
		}
	}
	for _, condition := range []string{
		`request.ip == "203.0.113.9" || request.ip == ""`, `request.origin in ["https://acme.example", "http://localhost:8080", "null"]`, `request.region == "BY"`,
		`playback.id in ["PID1"]`, `viewer.issuer in ["main", "partner", ""]`, `request.params.?max_resolution.orValue("none") == "none"`,
		`request.params.?fit_mode.orValue("") == "crop"`, `request.country.startsWith("D")`, `request.country.matches("^E[UL]$")`, `"RU,BY".contains(request.country)`,
		`request.country.lowerAscii().startsWith("x")`, `viewer.id == "https://id.acme.example/u1"`, `request.referrer == "https://acme.example/x"`,
	} {
		warnings, err := policy.Check([]byte(when(condition)), policy.Options{Issuers: []string{"main", "partner"}}, nil)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %q, %v", condition, warnings, err)
		}
	}
}

// TestSetsWithTextsThatCanNeverCome: a named set that is asked for countries only
// has countries only, wherever its members stand.
func TestSetsWithTextsThatCanNeverCome(t *testing.T) {
	t.Parallel()
	files := setFiles{"s.txt": "DE\nUK\nRussia\n", "mobile.txt": "mobile\n"}
	for text, want := range map[string]string{
		"version: 1\nsets: {s: s.txt}\nrules: [{id: a, effect: deny, when: 'inSet(\"s\", request.country)'}]":                                     `sets.s: s.txt has members that request.country never is (it is a two-letter code of ISO 3166-1, or ZZ where it is unknown): "Russia"; did you mean "RU"?; "UK"; did you mean "GB"? (line 2, column 11)`,
		"version: 1\nsets:\n  s:\n    - DE\n    - UK\nrules: [{id: a, effect: deny, when: 'inSet(\"s\", request.country)'}]":                      `sets.s[1]: request.country is never "UK": it is a two-letter code of ISO 3166-1, or ZZ where it is unknown; did you mean "GB"? (line 5, column 7)`,
		"version: 1\nsets: {s: mobile.txt}\nconditions: {c: 'inSet(\"s\", device(request.user_agent))'}\nrules: []":                               `"mobile"; did you mean "phone"?`,
		"version: 1\nsets: {s: [203.0.113.0/24]}\nrules: [{id: a, effect: deny, when: 'inSet(\"s\", request.country)'}]":                          `is a set of networks and addresses, in which request.country never is`,
		"version: 1\nsets: {s: [RU]}\nrules: [{id: a, effect: deny, when: 'inSet(\"s\", request.country.lowerAscii())'}]":                         `did you mean "ru"?`,
		"version: 1\nsets: {s: [UK, u1]}\nrules: [{id: a, effect: deny, when: 'inSet(\"s\", request.country) || inSet(\"s\", viewer.id)'}]":       "",
		"version: 1\nsets: {s: [DE, video]}\nrules: [{id: a, effect: deny, when: 'inSet(\"s\", request.country) || inSet(\"s\", request.type)'}]": "",
		"version: 1\nsets: {s: [UK]}\nrules: [{id: a, effect: deny, when: 'inSet(\"s\", viewer.claims.?country.orValue(request.country))'}]":      "",
		"version: 1\nsets: {s: [DE, EU]}\nrules: [{id: a, effect: deny, when: 'inSet(\"s\", request.country)'}]":                                  "",
		"version: 1\nsets: {s: [UK]}\nrules: []": "",
	} {
		_, err := policy.Compile([]byte(text), policy.Options{ReadFile: files.read})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
}

// TestTestsThatAskWhatNeverComes: a test that gives a country that there is not
// tests an answer that nobody gets.
func TestTestsThatAskWhatNeverComes(t *testing.T) {
	t.Parallel()
	text := when("true") + `tests:
  - {name: abroad, given: {request: {country: Germany}, asset: {status: readdy}, live_stream: {status: live}}, expect: {effect: allow}}
  - {name: at home, given: {request: {country: DE}, asset: {status: ready}, live_stream: {status: idle}}, expect: {effect: allow}}
`
	warnings, err := policy.Check([]byte(text), policy.Options{}, nil)
	want := []string{`given.request.country is never "Germany"`, `did you mean "ready"?`, `did you mean "active"?`}
	if err != nil || len(warnings) != len(want) {
		t.Fatalf("%q, %v", warnings, err)
	}
	for i, w := range want {
		if !strings.Contains(warnings[i], w) || !strings.Contains(warnings[i], "(abroad)") {
			t.Errorf("%q, want %s", warnings[i], w)
		}
	}
}

// drawComparison draws a condition over one country for the property below.
func drawComparison(t *rapid.T) string {
	country := rapid.SampledFrom([]string{
		`request.country`, `request.?country.orValue("none")`, `request.country.lowerAscii()`, `(has(request.country) ? request.country : "none")`,
		`request.country.trim()`, `dyn(request.country)`, `request.?country.optMap(c, c.lowerAscii()).orValue("none")`, `[request.country][0]`,
	}).Draw(t, "country")
	text := rapid.SampledFrom([]string{"DE", "de", "UK", "ZZ", "zz", "none", "", "Russia", "XX", "EU", "eu", "D" + "E ", "xk"}).Draw(t, "text")
	other := rapid.SampledFrom([]string{"DE", "AT", "ru", "none"}).Draw(t, "other")
	return fmt.Sprintf(rapid.SampledFrom([]string{
		`%[1]s == %[2]q`, `%[2]q != %[1]s`, `%[1]s in [%[2]q]`, `%[1]s in [%[2]q, viewer.id]`, `[%[2]q].exists(c, c == %[1]s)`, `[%[2]q].all(c, %[1]s != c)`,
		`sets.intersects([%[1]s], [%[2]q])`, `sets.contains([%[2]q, viewer.id], [%[1]s])`, `%[1]s == (viewer.authenticated ? %[2]q : %[3]q)`,
		`%[2]q in [%[1]s, viewer.id]`, `%[2]q in {%[1]s: true}`, `%[1]s in {%[2]q: true}`, `[%[2]q].map(c, c.upperAscii()).exists(c, c == %[1]s)`,
		`[%[1]s].map(c, c + "x").exists(c, c == %[2]q)`, `[%[1]s] == [%[2]q]`, `{%[2]q: true}[?%[1]s].orValue(false)`, `%[2]q + "" == %[1]s`,
	}).Draw(t, "form"), country, text, other)
}

// TestALegalComparisonIsNeverAnError: what is refused has one outcome for every
// country that there is, the same as with a text that no country is. The outcomes
// are asked of the rules themselves, with the text in a claim, where nothing is
// known of it.
func TestALegalComparisonIsNeverAnError(t *testing.T) {
	t.Parallel()
	countries := []string{"DE", "AT", "RU", "XK", "ZZ", "EU", "XX", "US", "GB"}
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		condition := drawComparison(t)
		_, err := policy.Compile([]byte(when(condition)), policy.Options{})
		if err == nil {
			return
		}
		refused++
		hidden, texts := condition, map[string]any{}
		for _, m := range regexp.MustCompile(` is never ("[^"]*")`).FindAllStringSubmatch(err.Error(), -1) {
			name := fmt.Sprintf("t%d", len(texts))
			hidden = strings.ReplaceAll(hidden, m[1], "viewer.claims."+name)
			texts[name] = strings.Trim(m[1], `"`)
		}
		p, err := policy.Compile([]byte(when(hidden)), policy.Options{})
		if err != nil || len(texts) == 0 {
			t.Fatalf("%s of %s: %v", hidden, condition, err)
		}
		for _, c := range countries {
			for _, signedIn := range []bool{true, false} {
				ask := func(texts map[string]any) bool {
					return p.Decide(&playback.Question{Viewer: &playback.Viewer{ID: "u1", Authenticated: signedIn, Claims: texts}, Client: &playback.Client{Country: c}}).Grant != nil
				}
				if ask(texts) != ask(map[string]any{"t0": "\x00 0", "t1": "\x00 1"}) {
					t.Fatalf("%s is refused for %v, which matters for country %s", condition, texts, c)
				}
			}
		}
	})
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

// TestShippedDocumentsAreLegal: no document that the product ships or shows has an
// error, and so no text in them is taken for one that never comes.
func TestShippedDocumentsAreLegal(t *testing.T) {
	t.Parallel()
	var all []string
	for _, pattern := range []string{"../configs/policies/*.yaml", "../demo/policies/*.yaml", "testdata/*.yaml"} {
		for _, file := range documents(t, pattern) {
			all = append(all, string(read(t, file)))
		}
	}
	for _, page := range append(documents(t, "../docs/*.md"), "../README.md") {
		for _, block := range regexp.MustCompile("(?s)```yaml\n(version: 1\n.*?)```").FindAllStringSubmatch(string(read(t, page)), -1) {
			all = append(all, block[1])
		}
	}
	if len(all) < 40 {
		t.Errorf("%d documents, want at least 40", len(all))
	}
	for _, text := range all {
		if _, err := policy.Test([]byte(text), policy.Options{ReadFile: setFiles{"shared/embargoes.yaml": "version: 1\n"}.read}); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// TestFindingsInFoldedTextHaveTheirPlace: the line and column in the file, where
// YAML joins the lines with spaces.
func TestFindingsInFoldedTextHaveTheirPlace(t *testing.T) {
	t.Parallel()
	const text = "version: 1\nrules:\n  - id: r\n    effect: deny\n    when: >-\n      viewer.authenticated\n      && request.country in [\"DE\", \"UK\"]\n      && viewer.id != \"\"\n"
	_, err := policy.Compile([]byte(text), policy.Options{})
	if err == nil || !strings.HasSuffix(err.Error(), "(line 7, column 36)") {
		t.Errorf("%v, want line 7, column 36", err)
	}
}

// TestOrValueOfWhatIsNoOptional fails whoever asks, so it is an error at load.
func TestOrValueOfWhatIsNoOptional(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		`viewer.claims.plan.orValue("x") == "x"`:               `orValue() is of what may be absent: write viewer.claims.?plan.orValue("x")`,
		`viewer.claims["a b"].orValue(1) == 1`:                 `write viewer.claims[?"a b"].orValue(1)`,
		`asset.meta.a.b.hasValue()`:                            `write asset.meta.?a.?b.hasValue()`,
		`viewer.claims.?plan.orValue("x") == "x"`:              "",
		`viewer.?claims.plan.orValue("x") == "x"`:              "",
		`viewer.claims.?a.b.orValue("x") == "x"`:               "",
		`[viewer.claims.?a].exists(a, a.orValue("x") == "x")`:  "",
		`dyn(viewer.?id).orValue("x") == "x"`:                  "",
		`viewer.grants.exists(g, g.?type.orValue("") != "")`:   "",
		`viewer.claims.?a.or(viewer.claims.?b).orValue(1) > 1`: "",
	} {
		_, err := policy.Compile([]byte(when(condition)), policy.Options{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", condition, err, want)
		}
	}
}
