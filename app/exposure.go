package app

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/keystore/file"
)

// exposureOfSecrets returns what judges files with secrets for one load, as the
// key store judges the files of signing keys: others than its owner must not be
// able to write to a file, or to the directories that it and what it links to lie
// in. What cannot be looked at, and what is no file, such as a pipe, is left to
// whoever reads it.
func exposureOfSecrets() configs.ExposureFunc {
	type exposure struct{ refused, warning error }
	known := map[string]exposure{} // by place: many files lie in one directory
	at := func(place string) exposure {
		if e, ok := known[place]; ok {
			return e
		}
		var e exposure
		if info, err := os.Stat(place); err == nil && (info.Mode().IsRegular() || info.IsDir()) {
			// An error: who may only pass through a directory may read a file in it.
			e.refused, e.warning, _ = file.Exposure(place)
		}
		known[place] = e
		return e
	}
	return func(path string) (warnings []error, refused error) {
		for _, place := range placesOf(path) {
			switch e := at(place); {
			case e.refused != nil:
				return nil, fmt.Errorf("%s %w", place, e.refused)
			case e.warning != nil:
				warnings = append(warnings, fmt.Errorf("%s %w", place, e.warning))
			}
		}
		return warnings, nil
	}
}

// maxLinks is how many links from one to the next Linux follows (path_resolution(7)).
const maxLinks = 40

// placesOf returns a file, and the directories in which it and the links to it lie.
func placesOf(path string) []string {
	places := []string{path}
	for range maxLinks {
		if dir := filepath.Dir(path); !slices.Contains(places, dir) {
			places = append(places, dir)
		}
		target, err := os.Readlink(path)
		if err != nil {
			break // it is the file, or is not there
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			break
		}
		if path = target; !filepath.IsAbs(target) {
			path = filepath.Join(dir, target)
		}
	}
	return places
}
