package memory_test

import (
	"testing"

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

func TestKeeperConformance(t *testing.T) {
	t.Parallel()
	keystoretest.RunKeeper(t, func(*testing.T) (a, b keystore.Keeper) {
		source := memory.New(memory.Config{})
		return source, source
	})
}
