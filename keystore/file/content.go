package file

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// content is everything that a key's record is made from.
type content struct {
	material []byte
	state    []byte
	stateful bool // there is a state document, empty or not
	refused  error
	exposed  error     // what others may do to the key that they should not
	changed  time.Time // when the key file was last written
}

// read reads a key's files. What is wrong with the key alone is in the content;
// the error is about the storage.
func (p *pass) read(id playback.KeyID) (content, error) {
	var c content
	if !id.Valid() {
		c.refused = errors.New("is not named after a key ID; want 1 to 128 letters, digits, _ and -")
		return c, nil
	}
	base := filepath.Join(string(p.env), string(id))
	var err error
	var info fs.FileInfo
	if c.material, info, err = p.readFile(base + keySuffix); err != nil {
		c.refused = err
		c.state, _, _ = p.readFile(base + stateSuffix) // one reason is enough
		c.stateful = c.state != nil
		return c, transient(err)
	}
	c.changed = info.ModTime()
	c.refused, c.exposed = p.checkPermissions(base+keySuffix, info)
	c.state, _, err = p.readFile(base + stateSuffix)
	switch {
	case err == nil:
		c.stateful = true
	case errors.Is(err, fs.ErrNotExist) && !p.linked(base+stateSuffix):
	default:
		c.refused = fmt.Errorf("its state (%s) %w", string(id)+stateSuffix, err)
		return c, transient(err)
	}
	return c, nil
}

// linked reports whether there is such a name, though what it links to may be
// gone: a state that cannot be read must not count as none.
func (p *pass) linked(name string) bool {
	_, err := p.root.Lstat(name)
	return err == nil
}

var (
	errNotFile  = errors.New("is not a regular file")
	errTooLarge = errors.New("is too large")
	errEscapes  = errors.New("path escapes from parent: it is, or lies behind, a link that leaves keystore.file.dir; " +
		"mount or copy the target there, or let keystore.file.dir itself be the link")
)

// explained returns what to do about os.Root's error for a link that leaves it,
// which is not exported, and every other error as it is.
func explained(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok && wrapped.Err.Error() == "path escapes from parent" {
		return &fs.PathError{Op: wrapped.Op, Path: wrapped.Path, Err: errEscapes}
	}
	return err
}

func (p *pass) readFile(name string) ([]byte, fs.FileInfo, error) {
	info, err := p.root.Stat(name) // first: opening a pipe would block
	if err != nil {
		return nil, nil, unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errNotFile
	}
	f, err := p.root.Open(name)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, keystore.MaxMaterial+1))
	if err != nil {
		return nil, nil, unreadable(err)
	}
	if len(data) > keystore.MaxMaterial {
		return nil, nil, errTooLarge
	}
	return data, info, nil
}

// unreadable says why in a few words; the path is in the problem already.
func unreadable(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](explained(err)); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// transient returns err if it is likely to pass by itself, so that it must not
// count as the key's withdrawal: anything but what somebody set up that way.
func transient(err error) error {
	for _, lasting := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.ELOOP, syscall.ENOTDIR, errNotFile, errTooLarge, errEscapes} {
		if errors.Is(err, lasting) {
			return nil
		}
	}
	return err
}

// sum identifies the content, its refusal included.
func (c *content) sum() [sha256.Size]byte {
	reason := ""
	if c.refused != nil {
		reason = c.refused.Error()
	}
	var text []byte
	for _, part := range [][]byte{c.material, c.state, []byte(reason)} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	if c.stateful {
		text = append(text, 1)
	}
	return sha256.Sum256(text)
}

// unread says which members of the state nothing reads.
func (c *content) unread() string {
	var members map[string]any
	if !c.stateful || json.Unmarshal(c.state, &members) != nil {
		return "" // record says what is wrong with a state that is none
	}
	return keystore.Unread(members, false)
}

func (c *content) record(id playback.KeyID, origin string) keystore.Record {
	var life keystore.Life
	var err error
	if c.stateful {
		life, err = keystore.ParseLife(c.state)
	}
	switch {
	case c.refused != nil:
		refused := keystore.Refuse(id, origin, c.refused)
		refused.State = life.State
		return refused
	case err != nil:
		return keystore.Refuse(id, origin, fmt.Errorf("its state (%s) %w", string(id)+stateSuffix, err))
	}
	record := keystore.NewRecord(id, origin, c.material, life)
	record.StoredAt = c.changed.UTC().Truncate(time.Second)
	return record
}
