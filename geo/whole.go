package geo

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/oschwald/maxminddb-golang/v2"
)

// maxPath is the longest way through a database's tree: a bit of an address each.
const maxPath = 128

// separator is how many bytes lie between the tree and the data.
const separator = 16

// walk goes through a database's tree, every node once.
type walk struct {
	reader *maxminddb.Reader
	tree   []byte
	size   uint // of a node, bytes
	nodes  uint
	state  []uint8 // of each node
	seen   map[uint]struct{}
}

const (
	unseen uint8 = iota
	under        // the walk is below it
	done
)

// whole reports what is broken in a database, everywhere: a file that was half
// copied may have its beginning and its end. It takes time linear in the tree.
func whole(text []byte, reader *maxminddb.Reader) error {
	w := walk{reader: reader, tree: text, nodes: reader.Metadata.NodeCount, size: reader.Metadata.RecordSize / 4}
	switch reader.Metadata.RecordSize {
	case 24, 28, 32:
	default:
		return fmt.Errorf("its records have %d bits, want 24, 28 or 32", reader.Metadata.RecordSize)
	}
	if w.nodes == 0 || w.nodes > uint(len(text))/w.size {
		return errors.New("its tree is empty, or larger than the file")
	}
	w.state, w.seen = make([]uint8, w.nodes), map[uint]struct{}{}
	return w.node(0, 0)
}

func (w *walk) node(n uint, depth int) error {
	if depth >= maxPath || w.state[n] == under {
		return fmt.Errorf("node %d of the tree leads back to itself", n)
	}
	if w.state[n] == done {
		return nil
	}
	w.state[n] = under
	for _, next := range w.children(n) {
		var err error
		switch {
		case next < w.nodes:
			err = w.node(next, depth+1)
		case next > w.nodes: // a node of that number is no data
			err = w.data(next)
		}
		if err != nil {
			return err
		}
	}
	w.state[n] = done
	return nil
}

// children reads the two records of a node.
func (w *walk) children(n uint) [2]uint {
	b := w.tree[n*w.size:][:w.size]
	switch w.size {
	case 6:
		return [2]uint{uint(b[0])<<16 | uint(b[1])<<8 | uint(b[2]), uint(b[3])<<16 | uint(b[4])<<8 | uint(b[5])}
	case 7: // the middle byte has the highest four bits of both
		return [2]uint{
			uint(b[3]>>4)<<24 | uint(b[0])<<16 | uint(b[1])<<8 | uint(b[2]),
			uint(b[3]&0x0f)<<24 | uint(b[4])<<16 | uint(b[5])<<8 | uint(b[6]),
		}
	}
	return [2]uint{uint(binary.BigEndian.Uint32(b)), uint(binary.BigEndian.Uint32(b[4:]))}
}

// data reads a record that the tree leads to.
func (w *walk) data(pointer uint) error {
	if _, known := w.seen[pointer]; known {
		return nil
	}
	w.seen[pointer] = struct{}{}
	if pointer < w.nodes+separator {
		return fmt.Errorf("the tree leads to %d, before the data", pointer)
	}
	var r record
	if err := w.reader.LookupOffset(uintptr(pointer - w.nodes - separator)).Decode(&r); err != nil {
		return fmt.Errorf("reading the record at %d: %w", pointer, err)
	}
	return nil
}
