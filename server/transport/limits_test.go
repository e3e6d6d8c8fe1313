package transport_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/server/transport"
)

func TestDerive(t *testing.T) {
	t.Parallel()
	const mebibyte = 1 << 20
	for _, test := range []struct {
		name        string
		configured  transport.Limits
		descriptors uint64
		want        transport.Limits
	}{
		{"few descriptors", transport.Limits{}, 256, transport.Limits{Total: 192, PerPeer: 48}},
		{"fewer than are kept", transport.Limits{}, 10, transport.Limits{Total: 1, PerPeer: 1}},
		{"a usual system", transport.Limits{}, 20000, transport.Limits{Total: 18976, PerPeer: 4744}},
		{"no limit", transport.Limits{}, 1 << 62, transport.Limits{Total: 1 << 20, PerPeer: 1 << 18}},
		{"a small container", transport.Limits{Bytes: 96 * mebibyte}, 1 << 20, transport.Limits{Total: 2048, PerPeer: 512, Bytes: 96 * mebibyte}},
		{"no memory", transport.Limits{Bytes: 1}, 1 << 20, transport.Limits{Total: 1, PerPeer: 1, Bytes: 1}},
		{"configured", transport.Limits{Total: 100, PerPeer: 90}, 1024, transport.Limits{Total: 100, PerPeer: 90}},
		{"configured beyond the memory", transport.Limits{Total: 100, Bytes: mebibyte}, 1024, transport.Limits{Total: 100, PerPeer: 25, Bytes: mebibyte}},
		{"configured beyond what there is", transport.Limits{Total: 5000, PerPeer: 6000}, 1024, transport.Limits{Total: 768, PerPeer: 768}},
		{"a peer's share of what is configured", transport.Limits{Total: 2}, 1024, transport.Limits{Total: 2, PerPeer: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, transport.Derive(test.configured, test.descriptors)); diff != "" {
				t.Errorf("Derive (-want +got):\n%s", diff)
			}
		})
	}
}
