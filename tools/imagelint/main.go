package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "imagelint:", err)
		os.Exit(1)
	}
}

// errFindings says that the Dockerfile breaks a rule; the findings were printed.
var errFindings = errors.New("the Dockerfile breaks the rules above")

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("imagelint", flag.ContinueOnError)
	root := flags.String("context", ".", "folder that is the build context")
	export := flags.String("export", "", "write the build context, less what .dockerignore names, into this new folder")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *export != "" {
		return exportContext(*root, *export)
	}
	findings, err := lintFile(ctx, filepath.Join(*root, "Dockerfile"))
	if err != nil {
		return err
	}
	for _, finding := range findings {
		if _, err := fmt.Fprintln(out, finding); err != nil {
			return err
		}
	}
	if len(findings) > 0 {
		return errFindings
	}
	return nil
}
