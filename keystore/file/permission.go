package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/playgate/playgate/keystore"
)

const (
	othersRead  fs.FileMode = 0o044
	othersWrite fs.FileMode = 0o022
)

// Exposure says what others than its owner may do to a private key, or to a
// directory of some: write to it (refused), or only read it (a warning). Both are
// nil if they may do neither. A directory on a file system that is mounted
// read-only, as Kubernetes mounts secrets, is one that nobody may write to.
func Exposure(path string) (refused, warning, err error) {
	f, err := os.Open(path) //nolint:gosec // the operator's path
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // only looked at
	return exposureOfOpen(f)
}

func exposureOfOpen(f *os.File) (refused, warning, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	refused, warning = exposureOf(info)
	if info.IsDir() && (refused != nil || warning != nil) && readOnly(f) {
		return nil, nil, nil
	}
	return refused, warning, nil
}

// exposureOf is Exposure by the mode alone, which says nothing on Windows.
func exposureOf(info fs.FileInfo) (refused, warning error) {
	perm := info.Mode().Perm()
	if runtime.GOOS == "windows" {
		return nil, nil
	}
	switch {
	case perm&othersWrite != 0 && info.IsDir() && info.Mode()&fs.ModeSticky != 0:
		return nil, fmt.Errorf("may be added to by %s (mode %#o with the sticky bit)", who(perm&othersWrite), perm)
	case perm&othersWrite != 0:
		return fmt.Errorf("may be written to by %s (mode %#o); want chmod go-w", who(perm&othersWrite), perm), nil
	case perm&othersRead != 0 && !info.IsDir():
		return nil, fmt.Errorf("may be read by %s (mode %#o)", who(perm&othersRead), perm)
	}
	return nil, nil
}

func who(perm fs.FileMode) string {
	if perm&0o007 != 0 {
		return "every user of the machine"
	}
	return "its group"
}

// judge makes a refusal of a warning where permissions are strict.
func (p *pass) judge(refused, warning error) (error, error) {
	if p.strict && warning != nil {
		return fmt.Errorf("%w; keystore.file.strict_permissions refuses that", warning), nil
	}
	return refused, warning
}

// maxLinks is how many links from one to the next Linux follows (path_resolution(7)).
const maxLinks = 40

// checkPermissions refuses a key that others may write to or replace, and returns
// what else is to be said of who can reach it.
func (p *pass) checkPermissions(name string, info fs.FileInfo) (refused, warning error) {
	if refused, warning = p.judge(exposureOf(info)); refused != nil {
		return refused, nil
	}
	dirs := []string{".", string(p.env)}
	for range maxLinks {
		target, err := p.root.Readlink(name)
		if err != nil || filepath.IsAbs(target) {
			break
		}
		name = filepath.Join(filepath.Dir(name), target)
		dirs = append(dirs, filepath.Dir(name))
	}
	for _, dir := range dirs {
		if refused := p.checkDirectory(dir); refused != nil {
			return refused, nil
		}
	}
	return nil, warning
}

// checkDirectory looks, once, at the permissions of a directory that keys lie in.
func (p *pass) checkDirectory(name string) (refused error) {
	if known, ok := p.directories[name]; ok {
		return known
	}
	path := filepath.Join(filepath.Dir(p.dir), name)
	refused, warning, err := p.directoryExposure(name)
	switch refused, warning = p.judge(refused, warning); {
	case err != nil: // a key in it could be read, so that passes
		p.unsure = true
	case refused != nil:
		refused = fmt.Errorf("lies in %s, which %w", path, refused)
	case warning != nil:
		p.problems = append(p.problems, keystore.Problem{Path: path, Reason: warning.Error(), Warning: true})
	}
	p.directories[name] = refused
	return refused
}

func (p *pass) directoryExposure(name string) (refused, warning, err error) {
	dir, err := p.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = dir.Close() }() // only looked at
	return exposureOfOpen(dir)
}
