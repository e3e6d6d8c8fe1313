package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/policy"
)

// TestMetaThatARuleCannotReadIsWarnedOf: of the assets that the catalogue has
// when the rules are loaded, those with a member that a conversion fails for.
func TestMetaThatARuleCannotReadIsWarnedOf(t *testing.T) {
	t.Parallel()
	var known []*playback.Object
	for id, meta := range map[string]map[string]any{
		"A1": {"released": "2027-01-01", "level": 3.0, "window": map[string]any{"end": "2027-01-01T00:00:00Z"}, "net": "10.0.0.0/8", "late": "soon"},
		"A2": {"released": "2027-01-01T00:00:00Z", "level": "high", "late": "later"},
		"A3": {},
	} {
		asset := &playback.Asset{ID: playback.AssetID(id), Meta: meta}
		known = append(known, &playback.Object{ID: playback.ID("P" + id), Known: true, Asset: asset}, &playback.Object{ID: playback.ID("Q" + id), Known: true, Asset: asset})
	}
	known = append(known, &playback.Object{ID: "PL", Known: true})
	slices.SortFunc(known, func(a, b *playback.Object) int { return strings.Compare(string(a.ID), string(b.ID)) })
	const released, zone = `timestamp(asset.meta.released) cannot read "2027-01-01" of asset A1`, `: it has no zone; write "2027-01-01T00:00:00Z"`
	for condition, want := range map[string]string{
		`timestamp(asset.meta.released) > now`:                                  released + zone,
		`has(asset.meta.released) && timestamp(asset.meta.released) > now`:      released + zone,
		`timestamp(asset.meta.?released.orValue("1970-01-01T00:00:00Z")) > now`: `cannot read "2027-01-01" of asset A1` + zone,
		`viewer.authenticated && timestamp(asset.meta.late) > now`:              `timestamp(asset.meta.late) cannot read "soon" of asset A1: write "2027-01-01T00:00:00Z" (and what 1 other asset has)`,
		`int(asset.meta.level) > 2`:                                             `int(asset.meta.level) cannot read "high" of asset A2`,
		`duration(asset.meta.released) > duration("1h")`:                        `duration(asset.meta.released) cannot read "2027-01-01" of asset A1 (and what 1 other asset has)`,
		`timestamp(asset.meta.window.end) > now`:                                "",
		`timestamp(asset.meta.absent) > now`:                                    "",
		`timestamp(viewer.claims.released) > now`:                               "",
		`["2026-01-01T00:00:00Z"].exists(asset, timestamp(asset) > now)`:        "",
	} {
		for effect, does := range map[string]string{"deny": "; this rule refuses it", "allow": "; this rule does not match it"} {
			warnings, err := policy.Check([]byte(ruleOf(effect, condition)), policy.Options{}, known)
			if err != nil {
				t.Fatalf("%s: %v", condition, err)
			}
			all := strings.Join(warnings, "\n")
			if want == "" && strings.Contains(all, "cannot read") || want != "" && (!strings.Contains(all, want+does) || strings.Count(all, "cannot read") != 1) {
				t.Errorf("%s %s: %s, want %s", effect, condition, all, want)
			}
		}
	}
}
