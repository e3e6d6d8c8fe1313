package memory_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/memory"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	keystoretest.Run(t, func(t *testing.T) *keystoretest.Harness {
		t.Helper()
		source := memory.New(memory.Config{})
		t.Cleanup(func() {
			if err := source.Close(); err != nil {
				t.Error(err)
			}
		})
		return &keystoretest.Harness{Source: source, MakesItsOwnKeys: "memory keys exist in this process alone"}
	})
}

func TestAKeyThatWasRepairedIsWarnedOf(t *testing.T) {
	t.Parallel()
	source := memory.New(memory.Config{})
	key := keystore.NewKey{ID: "K1", PEM: bytes.ReplaceAll(keystoretest.PEM(t, 1), []byte("\n"), []byte("\r\n")), Life: keystore.Life{State: keystore.Prepared}}
	if err := source.Create(t.Context(), "acme", key); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"created", "retired"} {
		_, problems, err := keystore.Load(t.Context(), source, "acme")
		if err != nil || len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Reason, "carriage return") {
			t.Errorf("%s: problems %v, %v, want a warning of its line ends", step, problems, err)
		}
		if err := source.Change(t.Context(), "acme", "K1", func(l keystore.Life) (keystore.Life, error) { return l.Retire(time.Unix(1, 0)) }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeeperConformance(t *testing.T) {
	t.Parallel()
	keystoretest.RunKeeper(t, func(*testing.T) (a, b keystore.Keeper) {
		source := memory.New(memory.Config{})
		return source, source
	})
}
