package policy_test

import (
	"strings"
	"testing"

	"github.com/playgate/playgate/policy"
)

// TestNumbersThatCanNeverComeAreErrors: a comparison with a number that the other
// side can never be is an error at load, as one with such a text is.
func TestNumbersThatCanNeverComeAreErrors(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		`now.getHours() == 24`:                                          `now.getHours() is never 24: it is 0 to 23 (midnight is 0)`,
		`24 == now.getHours("Europe/Berlin")`:                           `is never 24: it is 0 to 23`,
		`now.getHours() != 24`:                                          `is never 24`,
		`now.getHours() in [22, 23, 24]`:                                `is never 24`,
		`now.getHours() in [22] + (viewer.authenticated ? [23] : [25])`: `is never 25`,
		`now.getHours() == (viewer.authenticated ? 6 : -1)`:             `is never -1`,
		`24 in [now.getHours(), now.getDayOfWeek()]`:                    `now.getHours() is never 24`,
		`dyn(now.getHours()) == 24.0`:                                   `is never 24`,
		`double(now.getHours()) == 24.5`:                                `is never 24.5`,
		`now.getHours() > 23`:                                           `now.getHours() is never more than 23: it is 0 to 23`,
		`now.getHours() >= 24`:                                          `now.getHours() is never equal to or more than 24: it is 0 to 23`,
		`24 <= now.getHours()`:                                          `now.getHours() is never equal to or more than 24`,
		`now.getHours() < 0`:                                            `now.getHours() is never less than 0: it is 0 to 23`,
		`now.getHours() <= -1`:                                          `now.getHours() is never equal to or less than -1`,
		`!(now.getHours() > 24)`:                                        `is never more than 24`,
		`now.getHours() + 1 == 25`:                                      `now.getHours() + 1 is never 25: it is 1 to 24`,
		`1 - now.getDayOfWeek() == 2`:                                   `is never 2: it is -5 to 1`,
		`now.getMinutes() % 15 == 15`:                                   `is never 15: it is 0 to 14`,
		`now.getMinutes() == 60`:                                        `is never 60: it is 0 to 59`,
		`now.getSeconds() == 60`:                                        `is never 60: it is 0 to 59`,
		`now.getMilliseconds() == 1000`:                                 `is never 1000: it is 0 to 999`,
		`now.getDayOfWeek() == 7`:                                       `now.getDayOfWeek() is never 7: it is 0 to 6 (Sunday is 0, Saturday 6)`,
		`now.getDayOfWeek("Europe/Berlin") in [6, 7]`:                   `is never 7`,
		`now.getDate() == 0`:                                            `is never 0: it is 1 to 31 (the first of the month is 1)`,
		`now.getDayOfMonth() == 31`:                                     `is never 31: it is 0 to 30 (the first of the month is 0; getDate() counts from 1)`,
		`now.getDayOfYear() == 366`:                                     `is never 366: it is 0 to 365 (January 1 is 0)`,
		`now.getMonth() == 12`:                                          `now.getMonth() is never 12: it is 0 to 11 (January is 0, December 11)`,
		`asset.created_at.getMonth() == 12`:                             `is never 12`,
		`timestamp("2026-01-01T00:00:00Z").getHours() == 24`:            `is never 24`,
		`now.getFullYear() == 0`:                                        `is never 0: it is 1 to 9999`,
		`viewer.claims.list.exists(h, h == 1 && now.getHours() == 24)`:  `is never 24`,
		`asset.duration == -1.0`:                                        `asset.duration is never -1: it is 0 or more (0 is unknown)`,
		`asset.duration < 0.0`:                                          `asset.duration is never less than 0: it is 0 or more`,
		`request.asn == -1`:                                             `request.asn is never -1: it is 0 to 4294967295 (0 is unknown)`,
		`request.asn in [64496, 4294967296]`:                            `request.asn is never 4294967296`,
		`size(viewer.grants) < 0`:                                       `is never less than 0: it is 0 or more`,
		`request.user_agent.size() == -1`:                               `is never -1`,
	} {
		for _, effect := range []string{"allow", "deny"} {
			_, err := policy.Compile([]byte(strings.Replace(when(condition), "allow", effect, 1)), policy.Options{})
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s (%s): %v, want one line with %s", condition, effect, err, want)
			}
		}
	}
}

// TestNumbersThatMayComeAreNoErrors: the ends themselves, what always holds
// beside a border, and what has no bounds.
func TestNumbersThatMayComeAreNoErrors(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{
		`now.getHours() in [0, 23]`, `now.getHours() >= 22 && now.getHours() < 24`, `now.getHours() >= 0`, `now.getHours() <= 23 || now.getHours() <= 24`,
		`now.getHours() >= 23 || now.getHours() <= 0`, `now.getDayOfWeek() in [0, 6]`, `now.getDate() in [1, 31]`, `now.getDayOfMonth() in [0, 30]`,
		`now.getDayOfYear() in [0, 365]`, `now.getMonth() in [0, 11]`, `now.getFullYear() == 2026`, `now.getMinutes() % 15 == 14`, `now.getHours() - 24 == -1`,
		`(now - asset.created_at).getHours() == 24`, `(now - asset.created_at).getMinutes() > 60`, `viewer.claims.hour == 24`, `int(viewer.claims.hour) == 24`,
		`viewer.claims.list.exists(h, h == 24)`, `asset.duration == 0.0`, `asset.duration <= 0.0`, `request.asn == 0`, `request.asn in [4294967295]`,
		`size(viewer.grants) == 0`, `(viewer.authenticated ? now.getHours() : 24) == 24`, `[{"duration": -1}].exists(asset, asset.duration == -1)`,
		`now.getHours() * 60 + now.getMinutes() >= 1350`, `1 == 1`, `now.getHours() == now.getDayOfWeek() + 10`, `request.params.width == 24`,
	} {
		if _, err := policy.Compile([]byte(when(condition)), policy.Options{}); err != nil {
			t.Errorf("%s: %v", condition, err)
		}
	}
}
