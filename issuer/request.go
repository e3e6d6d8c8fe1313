package issuer

import (
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/playback"
)

// Environment is the immutable snapshot of one environment: all that a request
// needs to be answered, besides keys and cached tokens.
type Environment struct {
	ID         playback.EnvironmentID
	Name       string
	Delivery   playback.Delivery
	DefaultTTL time.Duration // token.default_ttl, > 0
	MaxTTL     time.Duration // token.max_ttl, > 0
	Kid        playback.KidPlacement
	// DenyUnknown is catalog.unknown: deny. Otherwise an ID that the catalogue
	// lacks is signed without metadata; Mux refuses it if it is not the
	// environment's own, because the key is the environment's own.
	DenyUnknown bool
	Catalogue   Catalogue
	Finder      Finder // nil: what the catalogue does not list is unknown
	Rules       Decider
	Revision    string // of the rules, for the journal and for operators
	// ReadsGrants: the rules want to know what the viewer holds.
	ReadsGrants bool
	// ShadowReadsGrants: rules that are asked beside them, and decide nothing, do.
	ShadowReadsGrants bool
	// ReadsPlace: the rules want to know where the viewer is.
	ReadsPlace bool
}

// Catalogue says what a playback ID is.
type Catalogue interface {
	Lookup(id playback.ID) (*playback.Object, bool)
	ByAsset(id playback.AssetID) []*playback.Object           // catalogue order
	ByLiveStream(id playback.LiveStreamID) []*playback.Object // catalogue order
}

// Decider answers one question by the rules; it always returns a grant or a
// refusal.
type Decider interface {
	Decide(q *playback.Question) playback.Decision
}

// Dater says more of a refusal than Decide, which is asked far more often: from
// when on the same question is allowed.
type Dater interface {
	Dated(q *playback.Question, d *playback.Decision) *playback.Error
}

// Request is one call for tokens, validated as far as it can be without
// knowing the playback ID: IDs fit their grammar, Types is not empty (unless
// All) and has no repetition, Params are canonical and checked per type. It
// serves one Issue.
type Request struct {
	// Exactly one of these is set.
	PlaybackID   playback.ID
	AssetID      playback.AssetID
	LiveStreamID playback.LiveStreamID
	VideoID      playback.VideoID // of Mux Data, from a backend only

	Types []playback.TokenType // in the order of the answer
	All   bool                 // every type that the rules grant; Types is ignored
	// File is the static file that a redirect asks for, "720p.mp4" or
	// "text/TRACK.vtt"; the grant must list it. "" for everything else.
	File   string
	Params [playback.TokenTypes]playback.Params
	// ParamsAt is where they stand in a body, "params" or "requests[2].params",
	// for what is said of them; "" in a query.
	ParamsAt string
	MinTTL   time.Duration // 0: any

	SessionID playback.SessionID
	Viewer    *playback.Viewer // who watches; never nil
	Client    *playback.Client // never nil
	// Custom holds a backend's custom claims, name → canonical JSON.
	Custom map[string]string
	// Backend: the caller is an access token. It may send any parameter but
	// cannot override what a rule forces.
	Backend bool
	// Caller is the fair-share identity in the signing queue.
	Caller string
	// Now is when the request came, if that was just before; zero: Issue asks
	// the clock.
	Now time.Time
	// Patient: the request is one of a batch, whose misses wait for each other
	// instead of failing when they fill the caller's share of the queue.
	Patient bool
	// Passive: the request begins no right that waits for the first play (HEAD).
	Passive bool
	// RuleWork counts the work of the rules for all requests of a batch, which
	// have one budget together; nil: the request is none of a batch.
	RuleWork *atomic.Uint64
	// RequestID is for the journal.
	RequestID string
	// Charge is called once, after the rules and before anything is signed,
	// with the number of tokens of an All request. nil: nothing to charge.
	Charge func(tokens int) error

	desk desk
}

// at adds to a message that begins with the name of a parameter where that
// stands in the request.
func (r *Request) at(t playback.TokenType, err *playback.Error) *playback.Error {
	if r.ParamsAt == "" {
		return err
	}
	placed := *err
	placed.Message = r.ParamsAt + "." + t.String() + "." + err.Message
	return &placed
}

// Answer is what Issue gives: one item per type, all living equally long.
type Answer struct {
	Object *playback.Object
	Rule   string         // the rule of the first item
	Key    playback.KeyID // "" without a token
	// Lifetime is that of the tokens, meaningless without any.
	Lifetime playback.Lifetime
	// Bound is which end fixed the lifetime: for whoever asks why.
	Bound Bound
	Items []Item
	// Withheld: handing out a token would begin a right that the request, being
	// passive, must not begin. The tokens must not leave the gateway.
	Withheld bool
	// Hit reports that every token came from the cache.
	Hit bool
	// Stale: the key store has not answered for a while, and a key that was
	// replaced meanwhile may have signed.
	Stale bool
	// Curtailed: Lifetime ends sooner because of that; a later end can be had as
	// soon as the store answers.
	Curtailed bool
}

// Signed reports whether the answer has a token at all. Without one, no type of
// it needs any, because the playback ID is public.
func (a *Answer) Signed() bool { return a.Key != "" }

// Item is one token of an answer.
type Item struct {
	Type  playback.TokenType
	Token playback.Token // empty where the type needs none; see Object.NeedsToken
	Rule  string
	// Params are the token's claims; without a token, what the caller sent and no
	// rule forces, to be put in the URL's query.
	Params      playback.Params
	Restriction playback.RestrictionID
	Custom      string // canonical JSON object, "" none
}
