package configs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

// Loaded is a configuration together with where it came from.
type Loaded struct {
	Config *Config
	// Path is the absolute path of the configuration file.
	Path string
	// Files are the absolute paths of every file that was read, the
	// configuration itself first: a change of any asks for a reload.
	Files []string
	// Ignored are the PLAYGATE_* variables that name nothing, sorted.
	Ignored []string
	// Warnings are about what is legal but dangerous, in the order of the file.
	Warnings []Problem
}

// Source is a configuration that Load reads.
type Source struct {
	// Path is the configuration file. Relative paths in it start where it is.
	Path string
	// Data is the document; nil means that the file is read.
	Data []byte
	// Environ is what os.Environ returns. PLAYGATE_* variables override
	// scalars that are in no list; relative paths in them start at the
	// working directory.
	Environ []string
	// ReadFile reads the file at an absolute path, for configurations whose
	// files are embedded; nil means from the disk.
	ReadFile func(path string) ([]byte, error)
	// Check finds what only other rooms know, such as rules that do not
	// compile, so that it is reported together with everything else. It is
	// called for each environment once it was read, with its YAML path, and
	// must be ready for values that were reported as problems. nil: no more
	// checks.
	Check func(path string, e *Environment) (problems, warnings []Problem)
}

// Load reads, checks and completes the configuration in the file. environ is
// what os.Environ returns. If the file can be read but not accepted, the error
// is Problems, with everything that is wrong with it.
func Load(path string, environ []string) (*Loaded, error) {
	return Source{Path: path, Environ: environ}.Load()
}

// Load is like the function Load, for any source.
func (s Source) Load() (*Loaded, error) {
	path, err := filepath.Abs(s.Path)
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	cwd, err := filepath.Abs(".")
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	l := &loader{report: newReport(), readFile: s.ReadFile, also: s.Check, files: []string{path}, named: map[string]bool{path: true}, rules: map[string]ruleConditions{}}
	if l.readFile == nil {
		l.readFile = ReadFile
	}
	raw := s.Data
	if raw == nil {
		if raw, err = l.readFile(path); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	if len(raw) > maxFile {
		return nil, Problems{{Message: "is larger than " + Size(maxFile).String()}}
	}
	root := parseDocument(raw, l.report)
	if root == nil {
		return nil, l.report.problems
	}
	d := newDecoder(l.report, filepath.Dir(path), cwd)
	root, ignored := d.override(root, s.Environ)
	l.report.root = root
	l.config = new(Config)
	v := reflect.ValueOf(l.config).Elem()
	v.Set(d.withDefaults(v.Type()))
	d.section(root, v, "")
	l.check()
	l.report.sort()
	if len(l.report.problems) > 0 {
		return nil, l.report.problems
	}
	return &Loaded{Config: l.config, Path: path, Files: l.files, Ignored: ignored, Warnings: l.report.warnings}, nil
}

// loader checks a decoded configuration and reads the files that it names.
type loader struct {
	report   *report
	config   *Config
	readFile func(string) ([]byte, error)
	also     func(string, *Environment) (problems, warnings []Problem)
	files    []string
	named    map[string]bool // that are among files
	rules    map[string]ruleConditions
}

const (
	maxFile   = 64 << 20 // bytes of any file that is read
	maxSecret = 64 << 10
	maxJWKS   = 1 << 20 // as for a key set that is fetched (contract §3)
	maxPolicy = 4 << 20
)

// ReadFile reads a file as Load does where Source.ReadFile is nil: at most one
// byte more than Load accepts.
func ReadFile(path string) (data []byte, err error) {
	f, err := os.Open(path) //nolint:gosec // the configuration says which files are read
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	return data, nil
}

// read returns the content of a file that the configuration names at a YAML
// path, and reports what is wrong with it.
func (l *loader) read(at string, file Path, limit int) ([]byte, bool) {
	if l.report.hasFailed(at) {
		return nil, false
	}
	data, err := l.readFile(string(file))
	if err != nil {
		l.report.add(at, "reading %s: %s", file, reasonOf(err))
		return nil, false
	}
	if !l.named[string(file)] {
		l.named[string(file)] = true
		l.files = append(l.files, string(file))
	}
	if len(data) > limit {
		l.report.add(at, "%s is larger than %s", file, Size(limit))
		return nil, false
	}
	return data, true
}

// reasonOf returns an error without the path that the message already has.
func reasonOf(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
