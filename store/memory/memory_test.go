package memory_test

import (
	"testing"

	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
	"github.com/playgate/playgate/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	s := memory.New()
	storetest.Run(t, func(*testing.T) store.Store { return s })
}
