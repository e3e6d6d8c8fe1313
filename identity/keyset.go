package identity

// maxTries bounds the signatures that are checked for one token, where its kid
// is missing or shared.
const maxTries = 5

// keySet is what an issuer published at one time. Immutable once published.
type keySet struct {
	keys []*key
}

// knows reports whether the token names a key of this set. One that names none
// may be signed by any, so it is never known.
func (s *keySet) knows(c *compact) bool {
	if !c.hasKid {
		return false
	}
	for _, k := range s.keys {
		if k.kid == c.kid {
			return true
		}
	}
	return false
}

// verify returns the key that made the signature, or nil. Keys with the
// token's kid are tried; if there is none, or the token has no kid, those
// without a kid, respectively all (RFC 7515 §4.1.4: kid is a hint). Whichever
// verifies, it is the issuer's.
func (s *keySet) verify(c *compact) *key {
	tries := 0
	for _, k := range s.candidates(c) {
		if !k.fits(c.algorithm) {
			continue
		}
		if tries++; tries > maxTries {
			return nil
		}
		if k.verifies(c) {
			return k
		}
	}
	return nil
}

func (s *keySet) candidates(c *compact) []*key {
	if !c.hasKid {
		return s.keys
	}
	var named, nameless []*key
	for _, k := range s.keys {
		switch k.kid {
		case c.kid:
			named = append(named, k)
		case "":
			nameless = append(nameless, k)
		}
	}
	if len(named) > 0 {
		return named
	}
	return nameless
}

// succeed makes the set the successor of another: keys that both hold stay the
// same object; the rest of the old set is returned, for withdrawal.
func (s *keySet) succeed(old *keySet) (withdrawn []*key) {
	if old == nil {
		return nil
	}
	kept := make(map[identifier]*key, len(old.keys))
	for _, k := range old.keys {
		kept[k.identifier] = k
	}
	for n, k := range s.keys {
		if same, ok := kept[k.identifier]; ok {
			s.keys[n] = same
		}
	}
	for _, k := range s.keys {
		delete(kept, k.identifier)
	}
	for _, k := range kept {
		withdrawn = append(withdrawn, k)
	}
	return withdrawn
}
