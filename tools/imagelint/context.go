package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// exportContext copies into dest what an engine would be sent from root: every
// regular file that .dockerignore does not name.
func exportContext(root, dest string) error {
	ignore, err := ignoreRules(filepath.Join(root, ".dockerignore"))
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || name == "." {
			return err
		}
		ignored, err := ignore.MatchesOrParentMatches(name)
		switch {
		case err != nil:
			return fmt.Errorf("matching %s: %w", name, err)
		case ignored && entry.IsDir() && !ignore.Exclusions():
			return fs.SkipDir
		case ignored || !entry.Type().IsRegular():
			return nil
		}
		return copyFile(path, filepath.Join(dest, name))
	})
}

func ignoreRules(path string) (*patternmatcher.PatternMatcher, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the ignore file: %w", err)
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("reading the ignore file: %w", err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("compiling the ignore file: %w", err)
	}
	return matcher, nil
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, info.Mode().Perm())
}
