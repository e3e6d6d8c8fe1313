package policy_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/playgate/playgate/policy"
)

// TestMistakesAreNamedWithWhatToWrite: what people write who know other languages,
// and what the checker does not take, in plain words and with what to write instead;
// what it proposes as a whole condition compiles.
func TestMistakesAreNamedWithWhatToWrite(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		// Spelling.
		`viewer.id = "u1"`: `write == instead of =: viewer.id == "u1"`,
		`viewer.id = "u  1" and not viewer.authenticated`:                         `write == instead of =, && instead of and, ! instead of not: viewer.id == "u  1" && !viewer.authenticated`,
		`viewer.id == "a" OR viewer.id == "b"`:                                    `write || instead of OR: viewer.id == "a" || viewer.id == "b"`,
		`not viewer.id == "u1" and true`:                                          `write ! instead of not, && instead of and: !(viewer.id == "u1") && true`,
		`viewer.id not in ["a"]`:                                                  `: !(viewer.id in ["a"])`,
		`viewer.claims.roles[0].trim() not in ("a", "b") or viewer.authenticated`: `: !(viewer.claims.roles[0].trim() in ["a", "b"]) || viewer.authenticated`,
		`request.country in ("DE", "AT")`:                                         `write a list in [ ] instead of ( ): request.country in ["DE", "AT"]`,
		`viewer.id === "u1" & viewer.authenticated`:                               `: viewer.id == "u1" && viewer.authenticated`,
		`viewer.id <> "u1"`:                                                       `: viewer.id != "u1"`,
		`viewer.id is not "u1"`:                                                   `: viewer.id != "u1"`,
		`asset.duration => 1.0`:                                                   `: asset.duration >= 1.0`,
		`now - asset.created_at > 1h`:                                             `: now - asset.created_at > duration("1h")`,
		`request.country == “DE”`:                                                 `: request.country == "DE"`,
		`if viewer.authenticated then true else false`:                            `: viewer.authenticated ? true : false`,
		`request.region =~ "D"`:                                                   `: request.region.matches("D")`,
		`request.region contains "D"`:                                             `: request.region.contains("D")`,
		`viewer->id == "x"`:                                                       `: viewer.id == "x"`,
		`viewer?.id.orValue("") == "x"`:                                           `: viewer.?id.orValue("") == "x"`,
		`${viewer.id} == "x";`:                                                    `: viewer.id == "x"`,
		`{{viewer.authenticated}}`:                                                `: viewer.authenticated`,
		`viewer.grants.exists(g, g.type = "rental")`:                              `: viewer.grants.exists(g, g.type == "rental")`,
		// Places of what is missing.
		`viewer.id == 'DE`:            `the text that begins here has no closing ' (line 6, column 20)`,
		`(viewer.id == "DE"`:          `this ( is never closed (line 6, column 7)`,
		`viewer.id == "DE")`:          `there is no opening bracket for this ) (line 6, column 24)`,
		`viewer.id ==`:                `ends where something is missing, after ==`,
		`viewer.id == "a" && && true`: `&& is not expected here`,
		`has(viewer)`:                 `has() takes a member: has(viewer.claims.plan)`,
		`package == "x"`:              `package is a word that CEL keeps for itself`,
		// Types.
		`asset.duration == 60`:               `asset.duration is a double and 60 an int; write asset.duration == 60.0`,
		`60 != asset.duration`:               `; write 60.0 != asset.duration`,
		`asset.duration in [60, 90]`:         `; write asset.duration in [60.0, 90.0]`,
		`asset.duration + 60 > 3600.0`:       `; write asset.duration + 60.0`,
		`request.asn == 64500.0`:             `; write request.asn == 64500`,
		`request.asn == "64500"`:             `; write request.asn == 64500`,
		`request.asn in ["64500"]`:           `; write request.asn in [64500]`,
		`viewer.id == 5`:                     `; write viewer.id == "5"`,
		`viewer.authenticated == "true"`:     `; write viewer.authenticated == true`,
		`viewer.id == null`:                  `viewer.id is a string and never null; write viewer.id == ""`,
		`now > "2027-01-01T00:00:00Z"`:       `; write now > timestamp("2027-01-01T00:00:00Z")`,
		`now > "2027-01-01"`:                 `; write now > timestamp("2027-01-01T00:00:00Z")`,
		`now > 1700000000`:                   `; write now > timestamp(1700000000)`,
		`now + 3600 > now`:                   `; write now + duration("3600s")`,
		`now - asset.created_at > "72h"`:     `; write now - asset.created_at > duration("72h")`,
		`asset.created_at == ""`:             `; write asset.created_at == timestamp("1970-01-01T00:00:00Z")`,
		`now > viewer.id`:                    `; write now > timestamp(viewer.id)`,
		`double(request.asn) == request.asn`: `; write double(request.asn) == double(request.asn)`,
		`viewer.?id == "x"`:                  `viewer.?id is an optional and "x" a string; write viewer.?id.orValue("") == "x"`,
		`request.country == ["DE"]`:          `; write request.country in ["DE"]`,
		`request.country in "DE"`:            `in takes a list; write request.country in ["DE"]`,
		`"x" in request.user_agent`:          `in takes a list; of texts, write request.user_agent.contains("x")`,
		`request.ip in cidr("10.0.0.0/8")`:   `in takes a list; write cidr("10.0.0.0/8").containsIP(request.ip)`,
		`viewer.id && viewer.authenticated`:  `&& takes conditions, and viewer.id is a string; compare it: viewer.id != ""`,
		`!viewer.id`:                         `; compare it: viewer.id == ""`,
		`viewer.id ? true : false`:           `?: takes conditions, and viewer.id is a string`,
		`viewer.id == "a" || "b" || "c"`:     `write viewer.id in ["a", "b", "c"]`,
		`viewer["id"] == "x"`:                `viewer has fields, not keys: write viewer.id`,
		`1 < 2 < 3`:                          `; write 1 < 2 && 2 < 3`,
		`viewer.id.name == "x"`:              `viewer.id is a string, which has no field name`,
		`viewer.id.exists(x, x == "a")`:      `viewer.id is a string: only lists and maps can be walked through`,
		`viewer.id`:                          `is a string and no condition: compare it with something`,
		// Arguments.
		`now > timestamp("2027-01-01T00:00:00")`:  `it has no zone; write timestamp("2027-01-01T00:00:00Z"), or localTime("2027-01-01T00:00", "Europe/Berlin")`,
		`now > timestamp("2027-01-01")`:           `it has no zone; write timestamp("2027-01-01T00:00:00Z")`,
		`now > timestamp("soon")`:                 `timestamp("soon") is no time: write timestamp("2027-01-01T00:00:00Z")`,
		`now - duration("3d") > now`:              `its units are h, m, s and ms; write duration("72h")`,
		`now - duration("1 day") > now`:           `write duration("24h")`,
		`viewer.id.matches("(")`:                  `matches("("): missing closing )`,
		`cidr("10.0.0.0").containsIP("10.0.0.1")`: `cidr("10.0.0.0") is no network`,
		`["a"].contains(viewer.id)`:               `of a list, write viewer.id in ["a"]`,
		`cidr("10.0.0.0/8").contains(request.ip)`: `write cidr("10.0.0.0/8").containsIP(request.ip)`,
		`startsWith(viewer.id, "D")`:              `write viewer.id.startsWith("D")`,
		`request.ip.startsWith(10)`:               `write request.ip.startsWith("10")`,
		`device(request) == "tv"`:                 `write device(request.user_agent)`,
		// Names.
		`user.id == "u1"`:                          `there is no variable user; did you mean viewer?`,
		`viewr.id == "x"`:                          `there is no variable viewr; did you mean viewer?`,
		`viewer.idd == "x"`:                        `viewer has no field idd; did you mean id?`,
		`viewer.roles == "x"`:                      `viewer has no field roles; what the token says is in viewer.claims.?roles`,
		`asset.title == "x"`:                       `asset.meta.?title`,
		`request.width == 5`:                       `request.params.?width`,
		`country == "DE"`:                          `there is no variable country; did you mean request.country?`,
		`request.country == DE`:                    `there is no variable DE; a text stands in quotes: "DE"`,
		`claims.plan == "x"`:                       `did you mean viewer.claims?`,
		`True`:                                     `there is no variable True; did you mean true?`,
		`now() > now`:                              `now is no function: write now, without parentheses`,
		`viewer.claims.a-b == "x"`:                 `a name with - stands in brackets: viewer.claims[?"a-b"]`,
		`request.country.lower() == "de"`:          `there is no function lower(); did you mean lowerAscii()?`,
		`len(viewer.id) == 2`:                      `did you mean size()?`,
		`viewer.id.startswith("x")`:                `did you mean startsWith()?`,
		`viewer.id.equals("x")`:                    `there is no function equals(): write ==`,
		`viewer.grants.any(g, g.type == "rental")`: `there is no function any(); did you mean exists()?`,
		`viewer.grants.exists(g.type == "rental")`: `exists() takes a variable and a condition: viewer.grants.exists(g, g.type == "rental")`,
		`set.contains(["a"], ["b"])`:               `did you mean sets.contains()?`,
		`device == "tv"`:                           `device is a function: write device(…)`,
	} {
		_, err := policy.Compile([]byte(when(condition)), policy.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", condition, err, want)
			continue
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: several findings: %v", condition, err)
		}
		message := regexp.MustCompile(` \(line \d+, column \d+\)$`).ReplaceAllString(err.Error(), "")
		if _, proposed, ok := strings.Cut(message, ": write "); ok && strings.Contains(proposed, " instead of ") {
			if err := lastCompiles(proposed); err != nil {
				t.Errorf("%s: %s does not compile: %v", condition, proposed, err)
			}
		}
		if _, proposed, ok := strings.Cut(message, "; write "); ok && regexp.MustCompile(`==|!=|>|<| in `).MatchString(proposed) {
			if _, err := policy.Compile([]byte(when(proposed)), policy.Options{}); err != nil {
				t.Errorf("%s: %s does not compile: %v", condition, proposed, err)
			}
		}
	}
}

// lastCompiles tries what follows each colon: the last of them is the proposed
// condition, which may have some itself.
func lastCompiles(text string) error {
	for {
		_, rest, ok := strings.Cut(text, ": ")
		if !ok {
			return fmt.Errorf("%q", text)
		}
		if _, err := policy.Compile([]byte(when(rest)), policy.Options{}); err == nil {
			return nil
		}
		text = rest
	}
}

// FuzzMistakes: whatever a condition is, what is found wrong with it has words, and
// a place in it.
func FuzzMistakes(f *testing.F) {
	for _, condition := range []string{`viewer.id = "u1" and not x`, `a not in (1, 2`, `if x then y`, `${{`, `“x”.y("`, `1h in [`, `viewer.id == 'x' || 'y'`, `[?`, `not`, `x =~`, `)) in ((`} {
		f.Add(condition)
	}
	f.Fuzz(func(t *testing.T, condition string) {
		text := fmt.Sprintf("version: 1\nrules: [{id: r, effect: deny, when: %q}]\n", condition)
		_, err := policy.Compile([]byte(text), policy.Options{})
		if problems, ok := err.(policy.Problems); ok { //nolint:errorlint // it is never wrapped
			for _, p := range problems {
				if p.Message == "" || strings.HasPrefix(p.Message, "Syntax error") {
					t.Errorf("%q: %v", condition, p)
				}
			}
		}
	})
}
