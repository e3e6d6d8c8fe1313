package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

const (
	keySuffix   = ".pem"
	stateSuffix = ".json"
)

// pass is one Load of one environment.
type pass struct {
	dir  string // for people: where the files are
	root *os.Root
	env  playback.EnvironmentID
	last map[playback.KeyID]look // what the pass before saw; not written to
	now  map[playback.KeyID]look

	strict      bool             // see Config.Strict
	directories map[string]error // those that were looked at: why keys in them are refused, nil if they are not

	mark   *mark // takes a stamp of each file before it is read; nil: none is wanted
	unsure bool  // something is to be looked at again

	records  []keystore.Record
	problems []keystore.Problem
}

func (p *pass) run(ctx context.Context) error {
	files, err := p.list()
	if errors.Is(err, fs.ErrNotExist) && len(p.last) == 0 {
		p.problems = append(p.problems, keystore.Problem{Path: p.dir, Reason: "does not exist, so the environment has no keys"})
		p.unsure = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing keys: %w", explained(err))
	}
	if p.mark != nil {
		for _, name := range files {
			p.mark.add(filepath.Join(p.dir, name))
		}
	}
	for _, name := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if base, isKey := strings.CutSuffix(name, keySuffix); isKey {
			if err := p.take(playback.KeyID(base)); err != nil {
				return fmt.Errorf("reading %s: %w", filepath.Join(p.dir, name), err)
			}
		} else if key := strings.TrimSuffix(name, stateSuffix) + keySuffix; !slices.Contains(files, key) {
			p.warn(name, "is the state of a key that is not there: "+key)
		}
	}
	if len(p.records) == 0 {
		p.problems = append(p.problems, keystore.Problem{Path: p.dir, Reason: "holds no key files (*.pem)"})
	}
	return nil
}

// list returns the names of the files that matter, sorted.
func (p *pass) list() ([]string, error) {
	dir, err := p.root.Open(string(p.env))
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // only read from
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") && (strings.HasSuffix(name, keySuffix) || strings.HasSuffix(name, stateSuffix)) {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return files, nil
}

// take makes the record of one key: last time's where nothing has changed.
func (p *pass) take(id playback.KeyID) error {
	name := string(id) + keySuffix
	found, err := p.read(id)
	if err != nil {
		return err
	}
	last, known := p.last[id]
	current := last
	if sum := found.sum(); !known || sum != last.sum {
		current = look{sum: sum, record: found.record(id, filepath.Join(p.dir, name)), unread: found.unread()}
	}
	p.now[id] = current
	p.unsure = p.unsure || current.record.Refused != nil
	if reason := current.record.Refused; reason != nil && known && last.record.Refused == nil {
		p.warn(name, reason.Error()+"; its last good content stays in force for one more look")
		current = last
	}
	p.records = append(p.records, current.record)
	if current.unread != "" && current.record.Refused == nil {
		p.warn(string(id)+stateSuffix, current.unread)
	}
	if current.record.Refused == nil && found.exposed != nil {
		p.warn(name, found.exposed.Error())
	}
	return nil
}

func (p *pass) warn(name, reason string) {
	p.problems = append(p.problems, keystore.Problem{Path: filepath.Join(p.dir, name), Reason: reason, Warning: true})
}
