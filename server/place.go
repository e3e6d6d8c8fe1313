package server

import (
	"net/netip"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// Locator knows where an address is: *geo.Database.
type Locator interface {
	// Locate sets what it knows of the address: country, region, ASN.
	Locate(addr netip.Addr, c *playback.Client)
}

// place says where the country, the region and the network of a viewer come
// from. The zero place knows nothing.
type place struct {
	locator       Locator // nil: none
	countryHeader string
}

// locate finds out where the caller is. It is called only where the rules want
// to know.
func (p *place) locate(c *fiber.Ctx, x *middleware.Exchange, client *playback.Client) {
	if p.locator != nil {
		p.locator.Locate(client.IP, client)
	}
	if p.countryHeader == "" || !x.Proxied {
		return
	}
	if country, ok := headerCountry(c.Request().Header.PeekAll(p.countryHeader)); ok {
		if country != client.Country {
			client.Region = "" // of another country
		}
		client.Country, client.GeoSource = country, playback.GeoHeader
	}
}

// headerCountry reads the country that a proxy names. What is no country code
// (Cloudflare's T1, an empty value) and what stands for an unknown one (XX) is as
// if it were not there; so is a header that stands there twice.
func headerCountry(values [][]byte) (string, bool) {
	if len(values) != 1 || len(values[0]) != 2 {
		return "", false
	}
	code := [2]byte{values[0][0] &^ 0x20, values[0][1] &^ 0x20}
	if !isCountry(string(code[:])) || string(code[:]) == "XX" || string(code[:]) == playback.UnknownCountry {
		return "", false
	}
	return string(code[:]), true
}

// warnOfProxy warns, once for each configuration, that a peer sends headers which
// count only from trusted proxies. Behind a proxy that is not configured, all
// viewers have one address, and with it one limit.
func (s *Server) warnOfProxy(c *fiber.Ctx, x *middleware.Exchange) {
	snapshot := x.Server.(*Snapshot) //nolint:forcetypeassert // begin put it there
	if s.warned.Load() == snapshot {
		return
	}
	header := middleware.Unbelieved(c, x)
	if header == "" || s.warned.Swap(snapshot) == snapshot {
		return
	}
	s.cfg.Logger.Warn("a peer that is not among server.trusted_proxies sends forwarding headers, which are ignored: "+
		"if it is a proxy of yours, all who come through it share one address, one limit and one host",
		"peer", x.Peer.String(), "header", header)
}
