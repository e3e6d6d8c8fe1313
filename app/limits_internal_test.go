package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/server/transport"
)

func TestLimitsFollowFromTheMemory(t *testing.T) {
	t.Parallel()
	const mebibyte, gibibyte = 1 << 20, 1 << 30
	byDefault := configs.Config{Cache: configs.Cache{MaxEntries: 100_000, MaxBytes: 256 * mebibyte}}
	chosen := configs.Config{
		Server: configs.Server{MaxConnections: 100, MaxConnectionsPerIP: 10},
		Cache:  configs.Cache{MaxEntries: 100_000, MaxBytes: gibibyte, MaxIdentities: 7, MaxUnknownIDs: 8},
	}
	for name, test := range map[string]struct {
		cfg    *configs.Config
		memory uint64
		want   limits
	}{
		"a small container": {&byDefault, 256 * mebibyte, limits{
			memory: 256 * mebibyte, connections: transport.Limits{Total: 2048, PerPeer: 512, Bytes: 96 * mebibyte},
			tokens: 32 * mebibyte, identities: 6553, unknown: 8192,
		}},
		"a usual machine": {&byDefault, 16 * gibibyte, limits{
			memory: 16 * gibibyte, connections: transport.Limits{Total: 64512, PerPeer: 16128, Bytes: 6 * gibibyte},
			tokens: 256 * mebibyte, identities: 100_000, unknown: 10_000,
		}},
		"nobody says": {&byDefault, 0, limits{
			connections: transport.Limits{Total: 64512, PerPeer: 16128}, tokens: 256 * mebibyte, identities: 100_000, unknown: 10_000,
		}},
		"next to nothing": {&byDefault, 1, limits{
			memory: 1, connections: transport.Limits{Total: 64512, PerPeer: 16128}, tokens: 1, identities: 1, unknown: 1,
		}},
		"configured": {&chosen, 256 * mebibyte, limits{
			memory: 256 * mebibyte, connections: transport.Limits{Total: 100, PerPeer: 10, Bytes: 96 * mebibyte},
			tokens: gibibyte, identities: 7, unknown: 8,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := deriveLimits(test.cfg, 1<<16, test.memory)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(limits{})); diff != "" {
				t.Errorf("the limits (-want +got):\n%s", diff)
			}
		})
	}
}
