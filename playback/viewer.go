package playback

import "net/netip"

// Viewer is who wants to watch. A Viewer is immutable once made: verified
// identities are shared between requests.
type Viewer struct {
	Issuer        string         // the issuer's alias in the environment, "" for anonymous viewers
	ID            string         // the issuer's `sub`, 1 to 255 characters, "" for anonymous viewers
	Authenticated bool           // false: anonymous
	Claims        map[string]any // all claims of the viewer token, JSON types, numbers as float64; may be nil
	Memo          *Memo          // optional; see Memo
}

// Client is what is known of the device and network a viewer asks from. A
// backend's own address never appears here.
type Client struct {
	IP        netip.Addr // zero: unknown
	Country   string     // ISO 3166-1 alpha-2, "ZZ" unknown
	Region    string
	ASN       int64 // 0 unknown
	Referrer  string
	Origin    string
	UserAgent string
	// GeoSource says who told Country, Region and ASN; "" nobody.
	GeoSource GeoSource
}

// GeoSource is where what is known of a client's place comes from.
type GeoSource string

// The sources.
const (
	GeoDatabase GeoSource = "database" // geo.database, by the address
	GeoHeader   GeoSource = "header"   // geo.country_header, from a trusted proxy
	GeoBackend  GeoSource = "backend"  // a backend's word about its viewer
)

// UnknownCountry is the country code of a client whose country is not known.
const UnknownCountry = "ZZ"
