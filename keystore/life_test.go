package keystore_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/keystore"
)

func TestParseLife(t *testing.T) {
	t.Parallel()
	at := time.Unix(1795425054, 0).UTC()
	for document, want := range map[string]keystore.Life{
		`{}`:                        {},
		`{"state":null}`:            {},
		`{"state":"prepared"}`:      {State: keystore.Prepared},
		`{"state":"active"}` + "\n": {State: keystore.Active},
		` {"state":"retired"}`:      {State: keystore.Retired},
		`{"state":"active","created_at":1795425054,"activated_at":1795425054,"retired_at":1795425054}`: {
			State: keystore.Active, CreatedAt: at, ActivatedAt: at, RetiredAt: at,
		},
		`{"created_at":"1795425054"}`:                          {CreatedAt: at},
		`{"created_at":"2026-11-23T09:10:54Z"}`:                {CreatedAt: at},
		`{"created_at":"2026-11-23T10:10:54+01:00"}`:           {CreatedAt: at},
		`{"created_at":0,"activated_at":"","retired_at":null}`: {},
		`{"state":"active","note":"made by hand"}`:             {State: keystore.Active},
		`{"state":"retired","external":true}`:                  {State: keystore.Retired, External: true},
		`{"state":"retired","external":null}`:                  {State: keystore.Retired},
	} {
		got, err := keystore.ParseLife([]byte(document))
		if err != nil {
			t.Errorf("ParseLife(%s) = %v", document, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseLife(%s): %s", document, diff)
		}
	}
}

func TestParseLifeRefuses(t *testing.T) {
	t.Parallel()
	for document, reason := range map[string]string{
		``:                             "not a JSON object",
		`null`:                         "not a JSON object",
		`[]`:                           "not a JSON object",
		`"active"`:                     "not a JSON object",
		`active`:                       "not a JSON object",
		`{"state":"active"`:            "not a JSON object",
		`{"state":"active"} {}`:        "after",
		`{"state":"active"} x`:         "after",
		`{"state":"sleeping"}`:         `unknown state "sleeping"`,
		`{"state":"Active"}`:           "unknown state",
		`{"state":""}`:                 "unknown state",
		`{"state":1}`:                  "not a string",
		`{"sate":"retired"}`:           `unknown member "sate"`,
		`{"State":"retired"}`:          `unknown member "State"`,
		`{"created_at":1.5}`:           "created_at",
		`{"created_at":1e9}`:           "created_at",
		`{"created_at":-1}`:            "created_at that is before 1970",
		`{"activated_at":true}`:        "activated_at",
		`{"activated_at":"-1"}`:        "activated_at that is before 1970",
		`{"activated_at":"yesterday"}`: "activated_at",
		`{"activated_at":"1969-12-31T23:59:59Z"}`:      "activated_at that is before 1970-01-01T00:00:00Z, where Unix time begins",
		`{"activated_at":"9999-12-31T23:59:59-01:00"}`: "activated_at that is after the year 9999",
		`{"retired_at":"2026-11-23"}`:                  "retired_at that is malformed; want Unix seconds or an RFC 3339 time",
		`{"external":"yes"}`:                           "external",
		`{"retired_at":1795425054000}`:                 "retired_at that is after the year 9999; want Unix seconds, not milliseconds",
		`{"retired_at":99999999999999999999}`:          "retired_at that is after the year 9999",
		strings.Repeat(" ", 20_000):                    "larger than",
	} {
		if got, err := keystore.ParseLife([]byte(document)); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("ParseLife(%.40s) = %v, %v, want %q", document, got, err, reason)
		}
	}
}

// TestMembersOfAStateThatNothingReadsAreNamed: a misspelt time would be unknown,
// and with it since when a key signs.
func TestMembersOfAStateThatNothingReadsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		members     string
		all, likely string
	}{
		{`{"state":"active","created_at":1,"activated_at":1,"retired_at":1,"external":true,"x-note":"by hand"}`, "", ""},
		{
			`{"state":"active","activatd_at":1}`,
			`has members that nothing reads: "activatd_at"; did you mean activated_at?`, `has members that nothing reads: "activatd_at"; did you mean activated_at?`,
		},
		{`{"state":"active","note":"by hand","private_key":"P"}`, `has members that nothing reads: "note"; "private_key"`, ""},
		{`{"a":1,"b":1,"c":1,"d":1,"e":1}`, `has members that nothing reads: "a"; "b"; "c"; and 2 more`, ""},
	} {
		var members map[string]any
		if err := json.Unmarshal([]byte(c.members), &members); err != nil {
			t.Fatal(err)
		}
		if all, likely := keystore.Unread(members, false), keystore.Unread(members, true); all != c.all || likely != c.likely {
			t.Errorf("%s: %s, likely misspelt %s, want %s and %s", c.members, all, likely, c.all, c.likely)
		}
	}
}

func FuzzParseLife(f *testing.F) {
	for _, document := range []string{
		`{}`, `{"state":"active","created_at":1795425054}`, `{"activated_at":"2026-11-23T09:10:54Z"}`, `{"state":"retired","retired_at":"1"}`, `[1`,
	} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		life, err := keystore.ParseLife(document)
		if err != nil {
			return
		}
		if !json.Valid(document) {
			t.Error("accepted what is not JSON")
		}
		for _, at := range []time.Time{life.CreatedAt, life.ActivatedAt, life.RetiredAt} {
			if !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999) {
				t.Errorf("accepted the time %v", at)
			}
		}
		switch life.State {
		case keystore.Stateless, keystore.Prepared, keystore.Active, keystore.Retired:
		default:
			t.Errorf("accepted the state %q", life.State)
		}
	})
}
