package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/signer"
)

// Set by the linker where the build knows better than the module's own stamp
// (a container build without .git).
var version, commit string //nolint:gochecknoglobals // the linker can set nothing else

type versionCommand struct{}

// Run prints what is running: the first thing that a bug report needs.
func (versionCommand) Run(p *Process) error {
	v, c := stamped()
	_, err := fmt.Fprintf(p.Stdout, "playgate %s\ncommit   %s\ngo       %s %s/%s\nsigner   %s\n",
		v, c, runtime.Version(), runtime.GOOS, runtime.GOARCH, signer.DescribeBackend(signer.BackendAuto))
	return err
}

// versionFlag is what people try first.
type versionFlag bool

// BeforeReset prints what is running, before anything else on the line counts.
func (versionFlag) BeforeReset(app *kong.Kong, p *Process) error {
	if err := (versionCommand{}).Run(p); err != nil {
		return err
	}
	app.Exit(exitOK)
	return nil
}

// build is what runs, for the metrics.
func build() app.Build {
	v, c := stamped()
	return app.Build{Version: v, Commit: c}
}

// stamped returns version and commit from the linker or the module's stamp.
func stamped() (v, c string) {
	v, c = "(devel)", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				c = s.Value
			}
		}
	}
	if version != "" {
		v = version
	}
	if commit != "" {
		c = commit
	}
	return v, c
}
