package middleware

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/ulule/limiter/v3"

	"github.com/playgate/playgate/playback"
)

// maxKeysPerLimit bounds the callers that one limit of one environment tells
// apart: some 10 MB at most for each limit that is under attack.
const maxKeysPerLimit = 1 << 16

// The networks of IPv6 that are counted beside /64, and how many times the limit
// of one address is theirs. A carrier has many households in a /48 and all of
// them in a /32, so these are no fair shares: they bound who owns the network.
const (
	times48 = 64
	times32 = 1024
)

// class is what a limit counts. Each class of each environment counts in a
// table of its own, so that a viewer and an address can never collide, and a
// flood in one environment cannot fill the tables of another.
type class uint8

const (
	classIP   class = iota
	classIP48       // the /48 of an IPv6 address
	classIP32       // the /32 of an IPv6 address
	classViewer
	classAccessToken
	classes
)

func (k class) String() string {
	switch k {
	case classViewer:
		return "viewer"
	case classAccessToken:
		return "access_token"
	case classIP, classIP48, classIP32, classes:
	}
	return "ip"
}

type tableKey struct {
	environment playback.EnvironmentID // "" for requests that name none
	class       class
}

// tables has the counters of each class and environment: maps with plain
// strings as keys, which are found twice as fast as structs.
type tables [classes]map[playback.EnvironmentID]*Counters

// applied is the limit that the answer's RateLimit headers tell of.
type applied struct {
	on     bool
	state  limiter.Context
	period time.Duration
}

// wait returns how long it is from the request's start until the window ends,
// never longer than the window itself, in seconds.
func (a *applied) wait(started time.Time) int64 {
	return min(Seconds(time.Unix(a.state.Reset, 0).Sub(started)), Seconds(a.period))
}

// Limits are the rate limits of contract §3. Counters outlive snapshots: a
// reload changes rates, not counts.
type Limits struct {
	now     func() time.Time
	mu      sync.Mutex             // serializes writers of tables
	tables  atomic.Pointer[tables] // copied on write
	limited [classes]prometheus.Counter
}

// NewLimits returns limits that have counted nothing. The registerer may be
// nil.
func NewLimits(now func() time.Time, registerer prometheus.Registerer) *Limits {
	l := &Limits{now: now}
	l.tables.Store(new(tables))
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_rate_limited_total",
		Help: "Requests refused by a rate limit, by class: ip, viewer or access_token.",
	}, []string{"class"})
	for k := range classes {
		l.limited[k] = vec.WithLabelValues(k.String())
	}
	if registerer != nil {
		registerer.MustRegister(vec)
	}
	return l
}

// Address charges one to the client's address, in the environment that the
// credential or the host names. A valid access token is not charged: that is
// known before, because checking it is cheap.
func (l *Limits) Address(x *Exchange) error {
	if x.credential.token != nil && x.credential.refusal == nil {
		return nil
	}
	return l.address(x, x.credential.payer, 1)
}

// Failed charges one to the client's address for a request that no limit has
// counted, because what proves its sender is checked first, and that is refused now.
// It returns the refusal, or that of the limit.
func (l *Limits) Failed(x *Exchange, refusal error) error {
	if err := l.address(x, x.named(), 1); err != nil {
		return err
	}
	return refusal
}

// Caller charges one to the limit of the caller that was authenticated. An
// anonymous caller has none but its address, which was charged already.
func (l *Limits) Caller(x *Exchange) error {
	if x.Kind == AnonymousCaller {
		return nil
	}
	return l.caller(x, 1)
}

// Charge charges tokens to the limit of the caller, wherever it counts. None
// or less is nothing.
func (l *Limits) Charge(x *Exchange, tokens int) error {
	if tokens < 1 {
		return nil
	}
	if x.Kind == AnonymousCaller {
		return l.address(x, x.Environment, int64(tokens))
	}
	return l.caller(x, int64(tokens))
}

func (l *Limits) address(x *Exchange, payer *Environment, n int64) error {
	rate, owner := x.Snapshot.unresolved, playback.EnvironmentID("")
	if payer != nil {
		rate, owner = payer.ip, payer.ID
	}
	x.key, x.moment.group = appendAddress(x.key[:0], x.Client), 0
	if !x.Client.Is6() {
		return l.charge(x, tableKey{owner, classIP}, rate, n)
	}
	return l.networks(x, owner, rate, n)
}

// networks charges n to the client's /64, and then to the /48 and the /32 around
// it: whoever has a /32 has four billion /64. What the narrower network is
// refused is not charged to the wider one, so that one household cannot use up
// what its neighbours have.
func (l *Limits) networks(x *Exchange, owner playback.EnvironmentID, rate limiter.Rate, n int64) error {
	group := binary.BigEndian.Uint32(x.key)
	var own applied
	for _, level := range [...]struct {
		class class
		bytes int
		times int64
		group uint32
	}{{classIP, 8, 1, group}, {classIP48, 6, times48, group}, {classIP32, 4, times32, 0}} {
		wide := rate
		wide.Limit = min(rate.Limit, math.MaxInt64/level.times) * level.times
		x.key, x.moment.group = x.key[:level.bytes], level.group
		if err := l.charge(x, tableKey{owner, level.class}, wide, n); err != nil {
			return err
		}
		if level.class == classIP {
			own = x.applied
		}
	}
	x.applied = own // what is told is what the client has of its own
	return nil
}

func (l *Limits) caller(x *Exchange, n int64) error {
	x.moment.group = 0
	switch x.Kind {
	case BackendCaller:
		x.key = append(x.key[:0], x.Token.ID...)
		return l.charge(x, tableKey{x.Environment.ID, classAccessToken}, x.Environment.accessToken, n)
	case ViewerCaller:
		// The alias is prefixed with its length: an ID may hold any character.
		x.key = strconv.AppendInt(x.key[:0], int64(len(x.Viewer.Issuer)), 10)
		x.key = append(append(x.key, ':'), x.Viewer.Issuer...)
		x.key = append(x.key, x.Viewer.ID...)
		return l.charge(x, tableKey{x.Environment.ID, classViewer}, x.Environment.viewer, n)
	case NoCaller, AnonymousCaller:
	}
	return nil
}

// charge counts n at x.key and refuses beyond the rate.
func (l *Limits) charge(x *Exchange, table tableKey, rate limiter.Rate, n int64) error {
	if rate.Limit == 0 {
		return nil
	}
	x.moment.Counters, x.moment.now = l.table(table), x.Started
	limit := limiter.Limiter{Store: &x.moment, Rate: rate}
	state, err := limit.Increment(context.Background(), utils.UnsafeString(x.key), n)
	if err != nil {
		return err
	}
	x.applied = applied{true, state, rate.Period}
	if !state.Reached {
		return nil
	}
	l.limited[table.class].Inc()
	return playback.Errorf(playback.CodeRateLimited, "Too many requests: at most %s per %s for each %s.",
		playback.Count(rate.Limit, "token", "tokens"), period(rate.Period), table.class.noun()).After(time.Duration(x.applied.wait(x.Started)) * time.Second).Because(exhausted(table, rate))
}

// exhausted says which setting refuses.
func exhausted(table tableKey, rate limiter.Rate) error {
	if table.environment == "" {
		return fmt.Errorf("server.unresolved_rate_limit, %s, is used up%s", rate.Formatted, table.class.network())
	}
	return fmt.Errorf("rate_limits.%s of environment %s, %s, is used up%s", table.class, table.environment, rate.Formatted, table.class.network())
}

// network says of which network around the address a limit is.
func (k class) network() string {
	switch k {
	case classIP48:
		return fmt.Sprintf(" %d times by the address's /48", times48)
	case classIP32:
		return fmt.Sprintf(" %d times by the address's /32", times32)
	case classIP, classViewer, classAccessToken, classes:
	}
	return ""
}

func (k class) noun() string {
	switch k {
	case classViewer:
		return "viewer"
	case classAccessToken:
		return "access token"
	case classIP48:
		return "network /48"
	case classIP32:
		return "network /32"
	case classIP, classes:
	}
	return "address"
}

func period(d time.Duration) string {
	switch d {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	}
	return "day"
}

func (l *Limits) table(key tableKey) *Counters {
	if t, ok := l.tables.Load()[key.class][key.environment]; ok {
		return t
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	next := *l.tables.Load()
	if t, ok := next[key.class][key.environment]; ok {
		return t
	}
	of := maps.Clone(next[key.class])
	if of == nil {
		of = map[playback.EnvironmentID]*Counters{}
	}
	t := NewCounters(maxKeysPerLimit, l.now)
	of[key.environment] = t
	next[key.class] = of
	l.tables.Store(&next)
	return t
}

// WriteLimit sets the RateLimit headers of the answer, if a limit applied:
// those of the caller's limit, or of the address's as long as nothing else was
// charged. RateLimit-Reset is in seconds from now.
func (l *Limits) WriteLimit(c *fiber.Ctx, x *Exchange) {
	if !x.applied.on {
		return
	}
	var text [20]byte
	h := &c.Response().Header
	h.SetCanonical([]byte("RateLimit-Limit"), strconv.AppendInt(text[:0], x.applied.state.Limit, 10))
	h.SetCanonical([]byte("RateLimit-Remaining"), strconv.AppendInt(text[:0], x.applied.state.Remaining, 10))
	h.SetCanonical([]byte("RateLimit-Reset"), strconv.AppendInt(text[:0], x.applied.wait(x.Started), 10))
}

// Seconds rounds a wait up to whole seconds, at least one.
func Seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

// AddressKey names the client's address as its limit sees it: an IPv4 address,
// or the /64 network of an IPv6 address, which one household has whole.
func AddressKey(addr netip.Addr) string {
	if addr.Is6() {
		p, _ := addr.Prefix(64) // 64 bits are always there
		return p.String()
	}
	if !addr.IsValid() {
		return "unknown"
	}
	return addr.String()
}

// appendAddress appends AddressKey's meaning in binary.
func appendAddress(b []byte, addr netip.Addr) []byte {
	switch {
	case addr.Is4():
		a := addr.As4()
		return append(b, a[:]...)
	case addr.Is6():
		a := addr.As16()
		return append(b, a[:8]...)
	}
	return b
}
