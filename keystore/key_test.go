package keystore_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
)

func TestKeysNeverShowTheirMaterial(t *testing.T) {
	t.Parallel()
	key := keystoretest.Key(t, "K1", 1, keystore.Active)
	record := keystore.Record{Key: *key}
	type holder struct {
		Exported keystore.Key
		Pointer  *keystore.Key
		Set      keystore.Keyset
		hidden   keystore.Key
		records  []keystore.Record
	}
	h := holder{*key, key, keystore.Keyset{Keys: []*keystore.Key{key}}, *key, []keystore.Record{record}}

	var texts []string
	for _, value := range []any{*key, key, record, &record, []*keystore.Key{key}, map[string]keystore.Key{"x": *key}, h, &h, keystore.Keyset{Keys: []*keystore.Key{key}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", value)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", value)
		texts = append(texts, log.String())
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if text, err := xml.Marshal(key); err == nil {
		texts = append(texts, string(text))
	}

	private := key.Private
	for _, number := range []interface{ Text(int) string }{private.D, private.Primes[0], private.Primes[1], private.Precomputed.Dp, private.Precomputed.Qinv} {
		for _, base := range []int{10, 16} {
			secret := number.Text(base)[10:40]
			for _, text := range texts {
				if strings.Contains(strings.ToLower(text), secret) {
					t.Fatalf("key material in %.200s", text)
				}
			}
		}
	}
	if got, want := fmt.Sprintf("%+v", key), "signing key K1 (active)"; got != want {
		t.Errorf("%%+v = %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(keystore.Key{ID: "K2"}), "signing key K2 (without a state)"; got != want {
		t.Errorf("%%v = %q, want %q", got, want)
	}
}
