package middleware

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// unmatched refuses a viewer token that leads to no environment. The log learns
// what the token says, and what is configured that comes nearest: a slash at the
// end of iss is the usual cause. Strangers choose what a token says, so that is
// quoted and cut, and compared with the configuration only a few times a second.
func (a *Authenticator) unmatched(x *Exchange) *playback.Error {
	refusal := invalidCredentials("No environment accepts viewer tokens of this issuer for this audience.")
	claim := &x.credential.claim
	if claim.Issuer == "" { // it was remembered for an environment that is gone
		return refusal
	}
	cause := "no environment has " + tenant.Seen(claim.Issuer, claim.Recipients)
	if a.compared.take(x.Now) {
		if nearest := x.Snapshot.directory.Nearest(claim.Issuer, claim.Recipients); nearest != "" {
			cause += "; the nearest: " + nearest
		}
	}
	return refusal.Because(errors.New(cause))
}

// ambiguous says which environments a viewer token fits where Host names none.
func ambiguous(claim *identity.Claim, owners []*tenant.Environment) error {
	const most = 4
	names := make([]string, 0, most)
	for _, e := range owners[:min(len(owners), most)] {
		names = append(names, string(e.ID))
	}
	if len(owners) > most {
		names = append(names, fmt.Sprintf("%d more", len(owners)-most))
	}
	return fmt.Errorf("%s are accepted by %s, and the host is none of theirs", tenant.Seen(claim.Issuer, claim.Recipients), strings.Join(names, ", "))
}

// comparisons bounds how often in a second a token is compared with all issuers
// of the configuration.
const comparisons = 5

// budget counts what may be done a few times in each second.
type budget struct {
	mu     sync.Mutex
	second int64 // guarded by mu
	taken  int   // guarded by mu
}

// take reports whether it may be done once more at the time.
func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if second := now.Unix(); second != b.second {
		b.second, b.taken = second, 0
	}
	b.taken++
	return b.taken <= comparisons
}
