package configs_test

import (
	"fmt"

	"github.com/playgate/playgate/configs"
)

func Example() {
	_, err := configs.Source{Path: "playgate.yaml", Data: []byte("server:\n  lisen: ':80'\nlog: {level: loud}\n")}.Load()
	fmt.Println(err)
	// Output:
	// server.lisen: unknown key; is it "listen" that is meant? (line 2)
	// log.level: "loud": want one of debug, info, warn, error (line 3)
}
