package ratio

import (
	"context"
	"fmt"
	"time"
)

// Compare makes a ratio of two series' throughput over some rounds.
func Compare(over, under Series, rounds int) Ratio {
	return compare(pair{name: "over / under"}, &over, &under, rounds)
}

// Misses sends a window of requests that each ask for another ID.
func Misses(ctx context.Context, dir, base string, viewers []string, window time.Duration) (requests int64, err error) {
	b := &bench{Config: Config{Dir: dir}, viewers: viewers}
	l, err := b.missing(base, "GET /v1/playback-ids/"+b.nextRange(), "/token HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer VIEWER\r\n\r\n")
	if err != nil {
		return 0, err
	}
	f, err := l.run(ctx, dir, window)
	if err != nil {
		return 0, fmt.Errorf("load: %w", err)
	}
	return f.Requests, nil
}

// Connections is how many viewers misses want.
const Connections = missConnections
