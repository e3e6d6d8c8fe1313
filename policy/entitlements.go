package policy

import (
	"errors"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// What a viewer holds stands in a store, which may be slow or down. It is read
// when the evaluation of a rule really comes to viewer.grants: whoever is decided
// about before, or by the other side of an || or &&, does not depend on the
// store. If it cannot be read, viewer.grants is an error to CEL. An expression
// that has a value all the same has it whatever the viewer holds; one that has
// none leaves the question undecided.

// unreadError says that an expression depends on what could not be read.
type unreadError struct{ cause error }

func (e *unreadError) Error() string { return "viewer.grants cannot be read: " + e.cause.Error() }

func (e *unreadError) Unwrap() error { return e.cause }

func isUnread(err error) bool {
	if err == nil {
		return false
	}
	_, unread := errors.AsType[*unreadError](err)
	return unread
}

// undecided is the decision where a rule depends on what could not be read.
func (p *Policy) undecided(r *rule, err error) playback.Decision {
	if unread, ok := errors.AsType[*unreadError](err); ok {
		err = unread.cause
	}
	return playback.Decision{Rule: r.id, Undecided: err, Refusal: p.refusals.unread.Because(err)}
}

// anyUndecided reports whether one of two answers cannot be compared with the
// other.
func anyUndecided(a, b *playback.Decision) bool { return a.Undecided != nil || b.Undecided != nil }

// eval evaluates an expression for a question.
func (e *expression) eval(a *activation) (ref.Val, error) {
	a.unread, a.guessed = nil, false
	out, err := e.program.run(a, a.meter)
	if endsRequest(err) {
		return nil, err
	}
	if a.unread != nil && (err != nil || a.guessed) {
		return nil, &unreadError{a.unread}
	}
	return out, err
}

// viewerAsked returns the question's viewer, whose grants are read when a rule
// asks for them, if they are not known.
func (a *activation) viewerAsked() *object {
	if a.question.Entitlements == nil {
		return a.viewerWith(a.grants())
	}
	viewer := *a.constants.viewerOf(a.question.Viewer)
	viewer.members[viewerGrants], viewer.source = nil, a
	a.entitled = &viewer
	return a.entitled
}

// readGrants reads viewer.grants. It is an error where that fails.
func (a *activation) readGrants() ref.Val {
	rights, err := a.question.Entitlements.ReadEntitlements(!a.hurried)
	if err != nil {
		a.unread = err
		return types.WrapErr(err)
	}
	a.rights = rights
	list := listOf(a.grants())
	a.entitled.members[viewerGrants] = list
	return list
}

// laterReader reads the rights that can still be used at a later time. Of those
// that begin until then nothing is known.
type laterReader struct {
	playback.EntitlementReader

	at time.Time
}

func (r laterReader) ReadEntitlements(needed bool) ([]playback.Held, error) {
	rights, err := r.EntitlementReader.ReadEntitlements(needed)
	return inForce(rights, r.at), err
}
