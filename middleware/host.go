package middleware

import (
	"bytes"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/playgate/playgate/tenant"
)

// Host finds out which host, and by it which environment, the client meant,
// and whether it speaks https. X-Forwarded-Host and -Proto count only if the
// connection itself comes from a trusted proxy, and then the right-most value,
// which that proxy wrote or let pass.
func Host(c *fiber.Ctx, x *Exchange) {
	x.Secure = c.Context().IsTLS()
	// In absolute form the target's host wins over the header's (RFC 9112
	// §3.2.2); fasthttp has decided that here, and the server has refused a
	// request in which they differ or one of them has user information.
	x.Authority = utils.UnsafeString(c.Request().URI().Host())
	if x.Proxied {
		if host := rightmost(c, fiber.HeaderXForwardedHost); host != "" {
			x.Authority = host
		}
		switch scheme := rightmost(c, fiber.HeaderXForwardedProto); {
		case strings.EqualFold(scheme, "https"):
			x.Secure = true
		case strings.EqualFold(scheme, "http"):
			x.Secure = false
		}
	}
	if e, root, ok := x.Snapshot.directory.ByHost(tenant.NormalizeHost(x.Authority)); ok {
		x.Host, x.Root = x.Snapshot.byID[e.ID], root
	}
}

// rightmost returns the last value of a list header as a view.
func rightmost(c *fiber.Ctx, header string) string {
	lines := c.Request().Header.PeekAll(header)
	if len(lines) == 0 {
		return ""
	}
	last := lines[len(lines)-1]
	if comma := bytes.LastIndexByte(last, ','); comma >= 0 {
		last = last[comma+1:]
	}
	return utils.UnsafeString(bytes.Trim(last, " \t"))
}
