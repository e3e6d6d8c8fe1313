package issuer

import (
	"time"

	"github.com/playgate/playgate/playback"
)

// lifetime plans one lifetime for all types: the shortest that any was granted.
func lifetime(env *Environment, object *playback.Object, all []granted, now time.Time) playback.Lifetime {
	var duration float64
	if object.Asset != nil {
		duration = object.Asset.Duration
	}
	var shortest int64
	for n := range all {
		grant := all[n].grant
		ttl := grant.TTL
		if ttl == 0 {
			ttl = env.DefaultTTL
		}
		term := playback.Term(ttl, grant.CoverDuration, duration, env.MaxTTL)
		if n == 0 || term < shortest {
			shortest = term
		}
	}
	return playback.Schedule(env.ID, object.ID, shortest, now)
}

// curtail shortens a lifetime to what is assured and, once that is too little,
// to a quarter of it: nobody is refused who does not ask for more by min_ttl.
func curtail(life playback.Lifetime, assured int64, q inquiry) playback.Lifetime {
	if assured == 0 || life.Exp <= assured {
		return life
	}
	least := max(1, life.L/4)
	if left := assured - q.now.Unix() - 1; left >= least {
		return playback.Lifetime{L: left, G: life.G, Exp: assured, Cut: true}
	}
	return playback.Schedule(q.env.ID, q.object.ID, least, q.now)
}

func checkMinTTL(req *Request, life playback.Lifetime, now time.Time) error {
	longest := time.Duration(life.L) * time.Second
	if life.Cut {
		longest = min(longest, time.Unix(life.Exp, 0).Sub(now))
	}
	if req.MinTTL > longest {
		return playback.Errorf(playback.CodeMinTTLTooLong, "min_ttl: tokens live %s here", longest.Truncate(time.Second))
	}
	return nil
}

// checkInTime refuses tokens that have ended while they waited to be signed.
func (i *Issuer) checkInTime(answer *Answer) error {
	if answer.Hit || i.cfg.Now().Unix() < answer.Lifetime.Exp {
		return nil
	}
	return playback.Errorf(playback.CodeSigningOverloaded, "The tokens have ended before they were signed; try again later.").After(time.Second)
}

// stale asks for how long what is signed is assured; see Config.
func (i *Issuer) stale(env playback.EnvironmentID) (assured int64, stale bool) {
	if i.cfg.Stale == nil {
		return 0, false
	}
	return i.cfg.Stale(env)
}
