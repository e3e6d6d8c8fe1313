package keystore_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/memory"
	"github.com/playgate/playgate/playback"
)

// A Watcher keeps the keys of every environment up to date.
func ExampleWatcher() {
	source := memory.New(memory.Config{})
	defer source.Close()
	watcher := keystore.NewWatcher(keystore.Config{Source: source, Driver: "memory", Logger: slog.New(slog.DiscardHandler)})
	watcher.SetEnvironments([]playback.EnvironmentID{"acme-prod"})
	if err := watcher.Start(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	defer watcher.Stop()

	key, ok := watcher.Keyset("acme-prod").Active()
	fmt.Println(ok, key.State, key.Private.N.BitLen())
	// Output: true active 2048
}
