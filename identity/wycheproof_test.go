package identity_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/playgate/playgate/identity"
)

// vectors is the part of Wycheproof's schema that both files share.
type vectors struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		Comment string          `json:"comment"`
		Public  json.RawMessage `json:"public"`
		Private json.RawMessage `json:"private"`
		Tests   []struct {
			ID      int    `json:"tcId"`
			Comment string `json:"comment"`
			JWS     string `json:"jws"`
			Result  string `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

func readVectors(t *testing.T, path string) vectors {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func setOf(keys ...json.RawMessage) []byte {
	set, _ := json.Marshal(map[string]any{"keys": keys})
	return set
}

// withAlg replaces the alg of a JWK.
func withAlg(t *testing.T, jwk json.RawMessage, alg string) json.RawMessage {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(jwk, &members); err != nil {
		t.Fatal(err)
	}
	members["alg"] = alg
	changed, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestWycheproofSignatures runs every vector through the code that verifies
// viewer tokens, once with all algorithms pinned and once with the key's own.
//
// Two kinds of "valid" vectors are refused by choice:
//   - HMAC ones (groups with an oct key): no HMAC is an algorithm of ours.
//   - 346, 347, 350 and 351, from RFC 7520 §4.2 and §4.3, whose JWK says
//     another alg than the token: PS256 for a PS384 signature, and ES521,
//     which is no registered name, for ES512. Vectors 332 to 340 demand that
//     a key is used with its own alg only, and so do we (RFC 7517 §4.4). The
//     same vectors with the JWK's alg put right must be accepted.
func TestWycheproofSignatures(t *testing.T) {
	t.Parallel()
	wrongAlg := map[int]string{346: "PS384", 350: "PS384", 347: "ES512", 351: "ES512"}
	all := identity.Algorithms()
	ran, accepted := 0, 0
	for _, group := range readVectors(t, "testdata/json_web_signature_test.json").TestGroups {
		jwk := group.Public
		if jwk == nil {
			jwk = group.Private
		}
		var key struct{ Kty, Alg string }
		if err := json.Unmarshal(jwk, &key); err != nil {
			t.Fatal(err)
		}
		pins := [][]string{all}
		if slices.Contains(all, key.Alg) {
			pins = append(pins, []string{key.Alg})
		}
		for _, test := range group.Tests {
			ran++
			right, isWrong := wrongAlg[test.ID]
			want := test.Result == "valid" && key.Kty != "oct" && !isWrong
			for _, algorithms := range pins {
				err := identity.VerifyJWS(test.JWS, setOf(jwk), algorithms...)
				if (err == nil) != want {
					t.Errorf("%s %d (%s, %s) with %v: %v, want accepted: %t",
						group.Comment, test.ID, test.Comment, test.Result, algorithms, err, want)
				}
			}
			if want {
				accepted++
			}
			if isWrong {
				if err := identity.VerifyJWS(test.JWS, setOf(withAlg(t, jwk, right)), all...); err != nil {
					t.Errorf("%d with alg %s in the JWK: %v, want accepted", test.ID, right, err)
				}
			}
		}
	}
	if ran != 401 || accepted != 32 {
		t.Errorf("ran %d vectors, of which %d are to be accepted; want 401 and 32", ran, accepted)
	}
}

// TestWycheproofKeySets: every set that must be refused is; of those that must
// be accepted, all that are for asymmetric algorithms.
func TestWycheproofKeySets(t *testing.T) {
	t.Parallel()
	for _, group := range readVectors(t, "testdata/json_web_key_test.json").TestGroups {
		set := group.Public
		if set == nil {
			set = group.Private
		}
		var keys struct{ Keys []struct{ Kty string } }
		if err := json.Unmarshal(set, &keys); err != nil {
			t.Fatal(err)
		}
		for _, test := range group.Tests {
			want := test.Result == "valid" && keys.Keys[0].Kty != "oct"
			err := identity.VerifyJWS(test.JWS, set, identity.Algorithms()...)
			if (err == nil) != want {
				t.Errorf("%s %d (%s, %s): %v, want accepted: %t", group.Comment, test.ID, test.Comment, test.Result, err, want)
			}
		}
	}
}
