package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/telemetry"
)

// Exit statuses.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Process is what a command sees of the process that runs it.
type Process struct {
	Args    []string // without the program's name
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string
}

// lastWordsTime is how long what a service has to say at its end may hold it up.
const lastWordsTime = time.Second

// lastWords returns standard error for the log, which waits for its reader in a
// goroutine of its own, and makes what the command itself writes there wait for a
// moment only: a service must end when it is told to.
func (p *Process) lastWords() (log io.Writer) {
	log = p.Stderr
	p.Stderr = telemetry.NewBounded(log, lastWordsTime)
	return log
}

// preventCoreDumps keeps keys out of core dumps, before there are any.
func (p *Process) preventCoreDumps() {
	if err := app.PreventCoreDumps(); err != nil {
		_, _ = fmt.Fprintf(p.Stderr, "warning: keys may get into core dumps: %v\n", err)
	}
}

// commands is the grammar of the command line (contract §1).
type commands struct {
	Serve       serveCommand       `cmd:"" help:"Run the gateway."`
	Demo        demoCommand        `cmd:"" help:"Run the whole product with nothing installed: gateway, simulated Mux, a page with a player."`
	CheckConfig checkConfigCommand `cmd:"" name:"check-config" help:"Check a configuration: all problems at once, warnings, and the effective values."`
	Keys        keysCommands       `cmd:"" help:"List, make, import, activate, retire and delete signing keys."`
	Policy      policyCommands     `cmd:"" help:"Check, test, explain and compare rules."`
	Decisions   decisionsCommands  `cmd:"" help:"Read the decision log."`
	Token       tokenCommands      `cmd:"" help:"Sign, decode and verify playback tokens."`
	AccessToken accessCommands     `cmd:"" name:"access-token" help:"Make access tokens for backends."`
	Version     versionCommand     `cmd:"" help:"Print version, commit, Go version and signer backend."`
	Help        helpCommand        `cmd:"" help:"Show what there is, or how a command is used."`

	ShowVersion versionFlag `name:"version" help:"The same as the command version."`
}

// exited carries an exit status out of kong, which would end the process.
type exited int

// Run runs one command line and returns its exit status.
func Run(p *Process) (status int) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exited:
			status = int(r)
		default:
			panic(r)
		}
	}()
	var grammar commands
	parser, err := kong.New(&grammar,
		kong.Name("playgate"),
		kong.Description("Playgate decides who may play what on Mux, and hands out the signed tokens."),
		kong.Writers(p.Stdout, p.Stderr),
		kong.Bind(p),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return fail(p, err, exitError)
	}
	args := p.Args
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err == nil {
		err = command.Run()
	}
	problem, usage := errors.AsType[*kong.ParseError](err)
	switch {
	case err == nil:
		return exitOK
	case usage:
		return fail(p, usageError(problem), exitUsage)
	case errors.Is(err, errReported):
		return exitError
	}
	return fail(p, err, exitError)
}

// errReported ends a command whose problems are on standard error already.
var errReported = errors.New("problems were reported")

// fail prints an error, one line each, and returns the status.
func fail(p *Process, err error, status int) int {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line != "" {
			_, _ = fmt.Fprintf(p.Stderr, "playgate: %s\n", line)
		}
	}
	return status
}
