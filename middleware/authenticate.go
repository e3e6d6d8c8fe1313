package middleware

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// Viewers verifies viewer tokens: *identity.Verifier, whose methods say what
// they promise. The text of a token is a view; an implementation copies what
// it keeps.
type Viewers interface {
	Remembered(token string, host playback.EnvironmentID, now time.Time) (*identity.Identity, bool)
	Inspect(token string) (identity.Claim, error)
	Verify(token string, claim identity.Claim, env playback.EnvironmentID) (*identity.Identity, error)
}

var _ Viewers = (*identity.Verifier)(nil)

// Authenticator finds out who asks and for which environment.
type Authenticator struct {
	viewers   Viewers
	anonymous *playback.Viewer
	compared  budget
}

// NewAuthenticator returns an Authenticator.
func NewAuthenticator(viewers Viewers) *Authenticator {
	return &Authenticator{viewers: viewers, anonymous: &playback.Viewer{Memo: new(playback.Memo)}}
}

// Inspect finds the credential that counts and the environment that its words
// lead to. It costs no signature check and never refuses: what is wrong is
// answered by Authenticate, once the client's address has been charged.
func (a *Authenticator) Inspect(c *fiber.Ctx, x *Exchange) {
	x.credential = choose(c, x)
	cred := &x.credential
	cred.payer = x.named()
	switch {
	case cred.refusal != nil || cred.carrier == noCarrier:
	case cred.carrier == basicCarrier:
		x.inspectBasic()
	default:
		a.inspectToken(x)
	}
	if cred.owner == nil {
		return
	}
	cred.payer = cred.owner
	if cred.refusal == nil && x.Host != nil && x.Host != cred.owner {
		cred.refusal = invalidCredentials("The credential does not belong to the environment of this host.").
			Because(fmt.Errorf("the host is of environment %s, the credential of %s", x.Host.ID, cred.owner.ID))
	}
}

var (
	errNotBasic     = errors.New("what stands behind Basic is not base64 of an ID and a secret with a colon between them")
	errUnknownToken = errors.New("no environment has an access token with this ID") // which is not named: it may be the secret
)

func (x *Exchange) inspectBasic() {
	cred := &x.credential
	id, secret, ok := basic(cred.text)
	cause := errNotBasic
	if ok {
		cred.owner = x.Snapshot.tokens[id] // by the ID alone: the failed attempt is charged where it aims
		cred.token, ok = x.Snapshot.directory.Authenticate(id, secret)
		cause = errUnknownToken
	}
	if ok {
		return
	}
	if cred.owner != nil {
		cause = fmt.Errorf("access token %s of environment %s has another secret", id, cred.owner.ID)
	}
	cred.refusal = invalidCredentials("The access token or its secret is wrong.").Because(cause)
}

func (a *Authenticator) inspectToken(x *Exchange) {
	cred := &x.credential
	var host playback.EnvironmentID
	if x.Host != nil {
		host = x.Host.ID
	}
	if id, ok := a.viewers.Remembered(cred.text, host, x.Now); ok {
		cred.identity, cred.owner = id, x.Snapshot.byID[id.Environment]
	} else {
		a.readClaim(x)
	}
	switch {
	case cred.refusal != nil:
	case cred.owner == nil:
		cred.refusal = a.unmatched(x)
	case cred.carrier == queryCarrier && cred.owner.ViewerQuery != cred.name,
		cred.carrier == cookieCarrier && cred.owner.ViewerCookie != cred.name:
		cred.refusal = invalidCredentials("The environment of this viewer token does not read it from there.").Because(cred.misplaced())
	}
}

// readClaim finds the environment of a token that was not seen before by what
// it claims: its issuer and whom it is for, and the host where two environments
// have the same pair.
func (a *Authenticator) readClaim(x *Exchange) {
	cred := &x.credential
	claim, err := a.viewers.Inspect(cred.text)
	if err != nil {
		if !errors.As(err, &cred.refusal) {
			cred.refusal = invalidCredentials("The credential is not a readable viewer token.").Because(err)
		}
		return
	}
	cred.claim = claim
	owners := x.Snapshot.directory.ByIssuer(claim.Issuer, claim.Recipients)
	switch {
	case len(owners) == 0:
	case len(owners) == 1:
		cred.owner = x.Snapshot.byID[owners[0].ID]
	case x.Host == nil:
		cred.refusal = unresolved().Because(ambiguous(&claim, owners))
	case slices.Contains(owners, x.Host.Environment):
		cred.owner = x.Host
	default:
		cred.owner = x.Snapshot.byID[owners[0].ID] // any of them conflicts with the host
	}
}

func unresolved() *playback.Error {
	return playback.Errorf(playback.CodeEnvironmentUnresolved, "Neither the credential nor the host says which environment is meant.")
}

// Authenticate settles whose request this is, or refuses: 401, 503 while the
// issuer's keys are unknown, 400 while the environment is.
func (a *Authenticator) Authenticate(x *Exchange) error {
	cred := &x.credential
	if cred.refusal != nil {
		return cred.refusal
	}
	switch {
	case cred.carrier == noCarrier:
		return a.admitAnonymous(x)
	case cred.token != nil:
		x.Kind, x.Token = BackendCaller, cred.token
	default:
		if cred.identity == nil {
			id, err := a.viewers.Verify(cred.text, cred.claim, cred.owner.ID)
			if err != nil {
				return err
			}
			cred.identity = id
			x.Now = time.Time{} // it may have waited for keys
		}
		x.Kind, x.Viewer = ViewerCaller, cred.identity.Viewer
	}
	x.Environment = cred.owner
	return nil
}

func (a *Authenticator) admitAnonymous(x *Exchange) error {
	e := x.named()
	if e == nil {
		return unresolved().Because(x.undecided())
	}
	x.Environment = e
	if !e.Anonymous || x.Endpoint.Backend {
		return playback.Errorf(playback.CodeMissingCredentials, "A viewer token or an access token is required.").Because(x.missing())
	}
	x.Kind, x.Viewer = AnonymousCaller, a.anonymous
	return nil
}

// Permit refuses a backend whose access token lacks the permission (0: any
// will do), and a viewer where only backends may call. What else viewers may do
// is a matter of rules.
func Permit(x *Exchange, p tenant.Permission) error {
	if x.Kind != BackendCaller {
		if x.Endpoint.Backend {
			return playback.Errorf(playback.CodeInsufficientPermissions, "Only a backend may do this, with an access token.")
		}
		return nil
	}
	if p != 0 && !x.Token.May(p) {
		return playback.Errorf(playback.CodeInsufficientPermissions, "The access token lacks the permission %s.", p).
			Because(fmt.Errorf("access token %s of environment %s has the permissions %v", x.Token.ID, x.Environment.ID, x.Token.Permissions.Names()))
	}
	return nil
}

// Fair returns the name under which the caller takes places in the signing
// queue. Viewers and addresses of two environments are two callers: what one
// environment's viewer does must not be felt by another's. The name of a viewer
// was made with the identity, once and not per request.
func (x *Exchange) Fair() string {
	switch x.Kind {
	case BackendCaller:
		return "t:" + x.Token.ID
	case ViewerCaller:
		if id := x.credential.identity; id != nil && id.Name != "" {
			return id.Name
		}
		return identity.NameOf(x.Environment.ID, x.Viewer)
	case AnonymousCaller, NoCaller:
	}
	return "a:" + string(x.Environment.ID) + ":" + AddressKey(x.Client)
}
