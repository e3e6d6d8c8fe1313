package middleware

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
)

// ClientIP finds out who is at the other end: the address of the connection,
// and behind trusted proxies that of the client. fiber's own c.IP() believes
// every peer, or takes the left-most entry, which the client chooses. So it is not
// used anywhere.
func ClientIP(c *fiber.Ctx, x *Exchange) {
	x.Peer = peer(c)
	x.Client = x.Peer
	x.Proxied = x.Snapshot.Trusts(x.Peer)
	if x.Proxied {
		x.Client = Forwarded(x.Peer, c.Request().Header.PeekAll(fiber.HeaderXForwardedFor), x.Snapshot.Trusts)
	}
}

// forwarding are the headers by which a proxy says for whom it asks.
var forwarding = [...]string{fiber.HeaderXForwardedFor, fiber.HeaderXForwardedHost, fiber.HeaderXForwardedProto} //nolint:gochecknoglobals // a constant table

// Unbelieved returns the name of a header by which a peer that is no trusted proxy
// says for whom it asks, "" if there is none.
func Unbelieved(c *fiber.Ctx, x *Exchange) string {
	if x.Proxied {
		return ""
	}
	for _, name := range forwarding {
		if len(c.Request().Header.PeekCanonical(utils.UnsafeBytes(name))) > 0 {
			return name
		}
	}
	return ""
}

func peer(c *fiber.Ctx) netip.Addr {
	tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(tcp.IP)
	return addr.Unmap() // a zone names an interface of ours, not a client
}

// Forwarded walks X-Forwarded-For from the right, where the nearest proxy
// wrote, for as long as the address it stands at is trusted. Several header
// lines are one list (RFC 9110 §5.3). An entry that is no IP address ends the
// walk: nobody trusted wrote it, and what is left of it is anyone's invention.
func Forwarded(peer netip.Addr, lines [][]byte, trusted func(netip.Addr) bool) netip.Addr {
	at := peer
	for _, line := range slices.Backward(lines) {
		rest := utils.UnsafeString(line)
		for more := true; more; {
			if !trusted(at) {
				return at
			}
			entry := rest
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, entry = rest[:comma], rest[comma+1:]
			} else {
				more = false
			}
			addr, ok := forwardedAddr(strings.Trim(entry, " \t"))
			if !ok {
				return at
			}
			at = addr
		}
	}
	return at
}

// forwardedAddr reads one entry: an IP address, with or without a port, in the
// spellings that proxies use: an IPv6 address may stand in brackets without a
// port, the whole in quotes as in a Forwarded header (RFC 7239 §6), and with a
// zone, which names an interface of the proxy and is dropped.
func forwardedAddr(entry string) (netip.Addr, bool) {
	if len(entry) > 1 && entry[0] == '"' && entry[len(entry)-1] == '"' {
		entry = entry[1 : len(entry)-1]
	}
	addr, err := netip.ParseAddr(entry)
	if err != nil {
		addr, err = bracketedAddr(entry)
	}
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.WithZone("").Unmap(), true
}

// bracketedAddr reads "[address]", "[address]:port" and "IPv4:port".
func bracketedAddr(entry string) (netip.Addr, error) {
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			return netip.ParseAddr(inner)
		}
	}
	pair, err := netip.ParseAddrPort(entry)
	return pair.Addr(), err
}
