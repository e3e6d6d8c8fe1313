package geo

import (
	"fmt"

	"github.com/oschwald/maxminddb-golang/v2"
)

// maxShared is how many networks there may be for each node of the tree. A tree
// has one more network than nodes; one with aliases of its IPv4 addresses has a
// few times as many.
const maxShared = 16

// verify reads all networks of a database and their records. A file that was
// half copied may have its beginning and its end, and another vendor's may have
// other types. The number of networks is bounded, because a broken tree may have
// more paths than could ever be walked. docs/decisions/0010 says why this is not
// Reader.Verify.
func verify(reader *maxminddb.Reader) error {
	most := maxShared * (reader.Metadata.NodeCount + 1)
	seen := map[uintptr]struct{}{}
	for network := range reader.Networks(maxminddb.IncludeAliasedNetworks(), maxminddb.IncludeNetworksWithoutData()) {
		if err := network.Err(); err != nil {
			return fmt.Errorf("reading the tree at %s: %w", network.Prefix(), err)
		}
		if most--; most == 0 {
			return fmt.Errorf("its tree has more than %d networks for each node", maxShared)
		}
		if _, known := seen[network.Offset()]; known || !network.Found() {
			continue
		}
		seen[network.Offset()] = struct{}{}
		var r record
		if err := network.Decode(&r); err != nil {
			return fmt.Errorf("reading the record of %s: %w", network.Prefix(), err)
		}
	}
	return nil
}
