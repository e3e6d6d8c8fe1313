package playback

// Delivery holds the base URLs of the hosts that serve an environment's media:
// Mux's own, or a custom domain (mux.md §1.4). No trailing slash.
type Delivery struct {
	Stream  string
	Image   string
	License string
	Stats   string
}

// DeliveryHost is one of the four delivery hosts.
type DeliveryHost uint8

// The hosts.
const (
	StreamHost DeliveryHost = iota
	ImageHost
	LicenseHost
	StatsHost
)

// Base returns the base URL of a host.
func (d *Delivery) Base(h DeliveryHost) string {
	switch h {
	case ImageHost:
		return d.Image
	case LicenseHost:
		return d.License
	case StatsHost:
		return d.Stats
	case StreamHost:
	}
	return d.Stream
}

// Location is one resource of a playback ID on a delivery host.
type Location struct {
	Host DeliveryHost
	Path string // starts with "/", built from validated parts only
}

// DefaultLocation returns the resource whose URL accompanies a token of the
// type: the manifest, a webp thumbnail, the Widevine licence, and so on.
func DefaultLocation(t TokenType, id ID) Location {
	switch t {
	case Thumbnail:
		return Location{ImageHost, "/" + string(id) + "/thumbnail.webp"}
	case GIF:
		return Location{ImageHost, "/" + string(id) + "/animated.gif"}
	case Storyboard:
		return Location{ImageHost, "/" + string(id) + "/storyboard.vtt"}
	case DRMLicense:
		return Location{LicenseHost, "/license/widevine/" + string(id)}
	case Stats, StatsAsset, StatsLiveStream, StatsVideo:
		return Location{StatsHost, "/counts"}
	case Video, TokenTypes:
	}
	return Location{StreamHost, "/" + string(id) + ".m3u8"}
}
