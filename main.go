// Command playgate is a playback-authorization gateway for Mux: it decides who
// may play what, and hands out the signed tokens. See README.md.
package main

import (
	"os"

	"github.com/playgate/playgate/cli"
)

func main() {
	os.Exit(cli.Run(&cli.Process{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
	}))
}
