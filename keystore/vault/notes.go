package vault

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

const (
	// maxSkew is how far the clocks may differ: beyond it, tokens would end
	// noticeably early or late.
	maxSkew = time.Minute
	// maxQuiet bounds how long a Retry-After is obeyed.
	maxQuiet = time.Minute
)

// notes keeps what Vault's answers say beside their content: what time it is,
// and when to come back.
type notes struct {
	now   func() time.Time
	skew  atomic.Int64 // nanoseconds that Vault's clock is ahead of ours
	quiet atomic.Int64 // Unix nanoseconds before which Vault wants no request
}

// observe is called with every answer.
func (n *notes) observe(answer *api.Response) {
	now := n.now()
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		const half = time.Second / 2 // a Date is cut to the second
		n.skew.Store(int64(date.Add(half).Sub(now)))
	}
	if answer.StatusCode != http.StatusTooManyRequests {
		return
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		n.quiet.Store(now.Add(min(time.Duration(seconds)*time.Second, maxQuiet)).UnixNano())
	}
}

// wait returns how long Vault wants no request any more, at most 0 if it does.
func (n *notes) wait() time.Duration {
	return time.Unix(0, n.quiet.Load()).Sub(n.now())
}

// quietError says that Vault was not asked because it had asked for that.
type quietError struct{ wait time.Duration }

func (e quietError) Error() string {
	return fmt.Sprintf("Vault answered 429 and wants no request for another %s", playback.FormatDuration(max(time.Second, e.wait.Round(time.Second))))
}

// skewed returns the problem of clocks that differ too much, if they do.
func (n *notes) skewed(address string) []keystore.Problem {
	skew := time.Duration(n.skew.Load())
	if skew.Abs() <= maxSkew {
		return nil
	}
	direction, effect := "behind", "early"
	if skew < 0 {
		direction, effect = "ahead of", "late"
	}
	// To the minute, so that the same trouble is the same problem next time.
	return []keystore.Problem{{Path: address, Reason: fmt.Sprintf(
		"the clock of this machine is about %s %s Vault's, so tokens end too %s, or are refused; synchronize the clocks",
		playback.FormatDuration(skew.Abs().Round(time.Minute)), direction, effect)}}
}
