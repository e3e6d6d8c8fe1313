// Command vault is HashiCorp Vault itself, built from its published module so
// that the tests meet the real server instead of an imitation. It is a module
// of its own: nothing of it (weight, licence) enters the product's go.mod.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() { os.Exit(command.Run(os.Args[1:])) }
