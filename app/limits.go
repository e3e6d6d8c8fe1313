package app

import (
	"log/slog"
	"math"

	"golang.org/x/sys/unix"

	"github.com/playgate/playgate/collector"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/server/transport"
	"github.com/playgate/playgate/tokencache"
)

// adminConnections bounds the connections of the admin listener: scrapers, probes
// and a few people. It is part of the descriptors that transport.Derive keeps.
const adminConnections = 32

// limits are what the process allows itself of descriptors and memory.
type limits struct {
	memory      uint64 // what the process may have; 0: not known
	connections transport.Limits
	tokens      int64 // bytes of the cache of tokens
	identities  int   // that are remembered
	unknown     int   // playback IDs of each environment that Mux does not have
}

// The parts of the process's memory that may be filled by who asks. What is left
// of it is for the process itself and for garbage that is not collected yet.
const (
	inFlightShare   = 3.0 / 8
	tokensShare     = 1.0 / 8
	identitiesShare = 1.0 / 8
	unknownShare    = 1.0 / 64
)

// What is remembered takes about so many bytes each.
const (
	identityCost = 5 << 10 // a viewer token of 1.3 KB and its decoded claims
	unknownCost  = 512     // a playback ID of the greatest length
)

// defaultUnknown is the most playback IDs that are remembered as unknown where the
// memory has room for them.
const defaultUnknown = 10_000

// deriveLimits returns the limits for a process that may have so many descriptors
// and so many bytes of memory (0: not known). What the configuration leaves open
// follows from those; cache.max_bytes is open where it is the default.
func deriveLimits(cfg *configs.Config, descriptors, memory uint64) limits {
	l := limits{
		memory: memory, tokens: int64(cfg.Cache.MaxBytes), identities: cfg.Cache.MaxIdentities, unknown: cfg.Cache.MaxUnknownIDs,
		connections: transport.Limits{Total: cfg.Server.MaxConnections, PerPeer: cfg.Server.MaxConnectionsPerIP},
	}
	if memory == 0 {
		memory = math.MaxInt64
	} else {
		l.connections.Bytes = part(memory, inFlightShare)
	}
	if l.tokens == tokencache.DefaultMaxBytes {
		l.tokens = max(1, min(l.tokens, part(memory, tokensShare)))
	}
	if l.identities == 0 {
		l.identities = int(max(1, min(identity.DefaultMaxRemembered, part(memory, identitiesShare)/identityCost)))
	}
	if l.unknown == 0 {
		l.unknown = int(max(1, min(defaultUnknown, part(memory, unknownShare)/unknownCost)))
	}
	l.connections = transport.Derive(l.connections, descriptors)
	return l
}

func part(memory uint64, share float64) int64 { return int64(float64(memory) * share) }

// newLimits returns the limits of this process, and logs them. The memory limit is
// GOMEMLIMIT or that of the control group, else what the machine has. Go itself
// raises the soft limit of descriptors to the hard one at start.
func newLimits(cfg *configs.Config, log *slog.Logger) limits {
	descriptors := uint64(math.MaxUint64)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		descriptors = limit.Cur
	}
	memory, source := collector.Limit(), "limit"
	if memory == 0 {
		memory, source = collector.Installed(), "machine"
	}
	l := deriveLimits(cfg, descriptors, memory)
	if cfg.Server.MaxConnections > l.connections.Total {
		log.Warn("server.max_connections is more than RLIMIT_NOFILE has room for", "configured", cfg.Server.MaxConnections, "in_force", l.connections.Total)
	}
	log.Info("connection limits", "max_connections", l.connections.Total, "max_connections_per_ip", l.connections.PerPeer, "descriptors", descriptors)
	log.Info("memory limits", "memory", memory, "of", source, "in_flight_bytes", l.connections.Bytes,
		"cache_max_bytes", l.tokens, "cache_max_identities", l.identities, "cache_max_unknown_ids", l.unknown)
	return l
}
