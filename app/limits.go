package app

import (
	"log/slog"
	"math"

	"golang.org/x/sys/unix"

	"github.com/playgate/playgate/collector"
	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/server/transport"
)

// connectionLimits returns the limits of the listener's connections, and logs
// them: where the configuration leaves them open they follow from the process's.
// Go itself raises the soft limit of descriptors to the hard one at start.
func connectionLimits(cfg *configs.Server, log *slog.Logger) transport.Limits {
	descriptors := uint64(math.MaxUint64)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		descriptors = limit.Cur
	}
	memory := collector.Limit()
	limits := transport.Derive(transport.Limits{Total: cfg.MaxConnections, PerPeer: cfg.MaxConnectionsPerIP}, descriptors, memory)
	if cfg.MaxConnections > limits.Total {
		log.Warn("server.max_connections is more than RLIMIT_NOFILE has room for", "configured", cfg.MaxConnections, "in_force", limits.Total)
	}
	log.Info("connection limits", "max_connections", limits.Total, "max_connections_per_ip", limits.PerPeer, "descriptors", descriptors, "memory_limit", memory)
	return limits
}
