package playback

// Identifiers are types of their own, so that two of them cannot be swapped.
// The grammars are those of contract §0: Mux documents its IDs as opaque
// strings of at most 255 characters, and every sample is alphanumeric.
type (
	// ID is a playback ID: what a player asks Mux's delivery hosts for.
	ID string
	// AssetID names a Mux asset.
	AssetID string
	// LiveStreamID names a Mux live stream.
	LiveStreamID string
	// VideoID is a video ID of Mux Data: what the application calls the video
	// whose views are counted. It is chosen by the application.
	VideoID string
	// KeyID names a signing key; it is the token's kid.
	KeyID string
	// OrganizationID names a tenant.
	OrganizationID string
	// EnvironmentID names an environment: the wall between two sets of keys,
	// playback IDs, rules, caches and limits.
	EnvironmentID string
	// SessionID names one viewing session of a viewer.
	SessionID string
	// RestrictionID names a Mux playback restriction.
	RestrictionID string
)

const (
	maxMuxID     = 255
	maxKeyID     = 128
	maxTenantID  = 63
	maxSessionID = 64
)

// Valid reports whether the ID fits ^[A-Za-z0-9]{1,255}$.
func (id ID) Valid() bool { return alphanumeric(string(id), maxMuxID) }

// Valid reports whether the ID fits ^[A-Za-z0-9]{1,255}$.
func (id AssetID) Valid() bool { return alphanumeric(string(id), maxMuxID) }

// Valid reports whether the ID fits ^[A-Za-z0-9]{1,255}$.
func (id LiveStreamID) Valid() bool { return alphanumeric(string(id), maxMuxID) }

// Valid reports whether the ID is 1 to 255 visible ASCII characters.
func (id VideoID) Valid() bool {
	if id == "" || len(id) > maxMuxID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// Valid reports whether the ID fits ^[A-Za-z0-9_-]{1,255}$: Mux documents no
// grammar for restriction IDs beyond their length.
func (id RestrictionID) Valid() bool { return word(string(id), maxMuxID) }

// Valid reports whether the ID fits ^[A-Za-z0-9_-]{1,128}$.
func (id KeyID) Valid() bool { return word(string(id), maxKeyID) }

// Valid reports whether the ID fits ^[A-Za-z0-9_-]{1,64}$.
func (id SessionID) Valid() bool { return word(string(id), maxSessionID) }

// Valid reports whether the ID fits ^[a-z0-9][a-z0-9-]{0,62}$.
func (id OrganizationID) Valid() bool { return label(string(id)) }

// Valid reports whether the ID fits ^[a-z0-9][a-z0-9-]{0,62}$.
func (id EnvironmentID) Valid() bool { return label(string(id)) }

func alphanumeric(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) {
			return false
		}
	}
	return true
}

func word(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func label(s string) bool {
	if s == "" || len(s) > maxTenantID || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
