package configs

import (
	"crypto/sha256"
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
	// Line returns the line of the member at a YAML path, or of the nearest one
	// around it that was given; nil without Source.KeepLines.
	Line func(path string) int
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
	// must be ready for values that were reported as problems. What it reads, it
	// reads with the function that it is given. nil: no more checks.
	Check func(path string, e *Environment, read ReadFunc) Checked
	// Memory takes environments over from an earlier Load; nil: all are read.
	// Take is called in place of Check for each of them, with what Check kept.
	Memory *Memory
	Take   func(path string, e *Environment, kept any)
	// Exposure judges files with secrets; nil: they are not looked at.
	Exposure ExposureFunc
	// KeepLines asks for Loaded.Line, which holds on to the whole document.
	KeepLines bool
	// Sum returns the SHA-256 of a file's content, for Memory; nil: the file is
	// read for it.
	Sum func(path string) ([sha256.Size]byte, error)
}

// ReadFunc reads the file at an absolute path.
type ReadFunc func(path string) ([]byte, error)

// Checked is what Source.Check found.
type Checked struct {
	Problems, Warnings []Problem
	// Kept is given to Source.Take when the environment is taken over. It must
	// not depend on anything but the environment and the files that were read. With
	// it the environment loses its PlaybackIDs, which may be very many: Check has
	// made something of them.
	Kept any
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
	s.Path = path
	if s.ReadFile == nil {
		s.ReadFile = ReadFile
	}
	raw := s.Data
	if raw == nil {
		if raw, err = s.ReadFile(path); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	if len(raw) > maxFile {
		return nil, Problems{{Message: "is larger than " + Size(maxFile).String()}}
	}
	if s.Memory == nil {
		return newLoader(&s, cwd).load(raw, nil)
	}
	return s.loadWithMemory(raw, cwd)
}

// loadWithMemory loads only what is new in the document, or, if anything is wrong
// with that, all of it, so that problems are reported where and as they are.
func (s *Source) loadWithMemory(raw []byte, cwd string) (*Loaded, error) {
	list, ok := segments(raw)
	s.Memory.forget(s.Path, cwd, around(raw, list), s.Environ)
	if ok && len(s.Memory.known) > 0 {
		l := newLoader(s, cwd)
		chosen := s.Memory.choose(list, l)
		if loaded, err := l.load(reduced(raw, list, chosen), chosen); err == nil {
			s.Memory.keep(l, list)
			return loaded, nil
		}
	}
	l := newLoader(s, cwd)
	loaded, err := l.load(raw, nil)
	if err == nil {
		s.Memory.keep(l, list)
	}
	return loaded, err
}

// loader reads, checks and completes one document, with the files that it names.
type loader struct {
	source   *Source
	cwd      string
	report   *report
	config   *Config
	files    []string
	named    map[string]bool // that are among files
	rules    map[string]ruleConditions
	sums     map[string][sha256.Size]byte // of the files that were read
	taken    map[string]*remembered       // the environments that are taken over, by YAML path
	readings map[string]*reading          // of the others
	current  *reading                     // of the environment that is being checked; nil: none is
}

func newLoader(s *Source, cwd string) *loader {
	return &loader{
		source: s, cwd: cwd, report: newReport(), files: []string{s.Path}, named: map[string]bool{s.Path: true},
		rules: map[string]ruleConditions{}, sums: map[string][sha256.Size]byte{}, readings: map[string]*reading{},
	}
}

// errNotWhole says that environments that were to be taken over are not where
// they seemed to be.
var errNotWhole = errors.New("what is new in the document cannot be read by itself")

// load loads a document in which markers stand for the chosen environments.
func (l *loader) load(raw []byte, chosen []*remembered) (*Loaded, error) {
	root := parseDocument(raw, l.report)
	if root == nil {
		return nil, l.report.problems
	}
	d := newDecoder(l.report, filepath.Dir(l.source.Path), l.cwd)
	d.chosen, d.taken = chosen, map[string]*remembered{}
	root, ignored := d.override(root, l.source.Environ)
	l.report.root = root
	l.config = new(Config)
	v := reflect.ValueOf(l.config).Elem()
	v.Set(d.withDefaults(v.Type()))
	d.section(root, v, "")
	if l.taken = d.taken; !d.complete() {
		return nil, errNotWhole
	}
	l.check()
	l.report.sort()
	if len(l.report.problems) > 0 {
		return nil, l.report.problems
	}
	loaded := &Loaded{Config: l.config, Path: l.source.Path, Files: l.files, Ignored: ignored, Warnings: l.report.warnings}
	if l.source.KeepLines {
		loaded.Line = l.report.line
	}
	return loaded, nil
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
	l.name(string(file))
	if len(data) > limit {
		l.report.add(at, "%s is larger than %s", file, Size(limit))
		return nil, false
	}
	return data, true
}

// name adds a file to those that the configuration names.
func (l *loader) name(file string) {
	if l.current != nil {
		l.current.named = append(l.current.named, file)
	}
	if !l.named[file] {
		l.named[file] = true
		l.files = append(l.files, file)
	}
}

// readFile reads a file, and notes it for the environment that is being checked.
func (l *loader) readFile(path string) ([]byte, error) {
	text, err := l.source.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if _, known := l.sums[path]; !known && l.source.Memory != nil {
		l.sums[path] = sha256.Sum256(text)
	}
	if l.current != nil {
		l.current.files[path] = l.sums[path]
	}
	return text, nil
}

// reasonOf returns an error without the path that the message already has.
func reasonOf(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
