package identity

import "github.com/playgate/playgate/playback"

// roster is the list of issuers in force, immutable, and the identities that
// were verified under it: they are forgotten with it, so that none outlives a
// change of its issuer, and none becomes ambiguous unnoticed when another
// environment begins to trust the same issuer.
type roster struct {
	issuers []Issuer // as configured
	trusted map[playback.EnvironmentID][]*trusted
	meant   map[address][]playback.EnvironmentID
	memory  *memory
}

// address is what leads from a token to environments.
type address struct {
	issuer string
	playback.Recipient
}

// trusted is an issuer with its source of keys.
type trusted struct {
	Issuer
	source *source
}

func (r *roster) add(i *trusted) {
	r.trusted[i.Environment] = append(r.trusted[i.Environment], i)
	for _, recipient := range i.Recipients {
		to := address{i.Issuer.Issuer, recipient}
		owners := r.meant[to]
		if len(owners) == 0 || owners[len(owners)-1] != i.Environment { // one that stands there twice is still one
			r.meant[to] = append(owners, i.Environment)
		}
	}
}

// find returns the environment's first issuer that the token names.
func (r *roster) find(environment playback.EnvironmentID, t *token) *trusted {
	for _, i := range r.trusted[environment] {
		if i.accepts(t) {
			return i
		}
	}
	return nil
}

// fitsSeveral reports whether the token's iss and recipients are those of more
// than one environment, so that only the Host tells which one is meant.
func (r *roster) fitsSeveral(t *token) bool {
	var first playback.EnvironmentID
	for _, recipient := range t.recipients {
		for _, environment := range r.meant[address{t.issuer, recipient}] {
			if first != "" && environment != first {
				return true
			}
			first = environment
		}
	}
	return false
}

// remember keeps a verified identity, per environment where the token fits
// several.
func (r *roster) remember(t *token, entry *remembered) {
	k := r.memory.keyOf(entry.token)
	if r.fitsSeveral(t) {
		k.host = entry.identity.Environment
	}
	r.memory.remember(k, entry)
}
