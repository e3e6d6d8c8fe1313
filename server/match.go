package server

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/tenant"
)

// maxSegments is the length of the longest path of the table.
const maxSegments = 5

// table is the compiled route table. Matching is exact: no
// decoding, no case folding, no trailing or doubled slash, so that a path has
// one spelling and "%2e%2e" is three odd characters.
type table struct {
	all    []*compiled                  // in their order
	exact  [maxSegments + 1][]*compiled // by the number of their segments
	mounts []*compiled
}

// compiled is a route that is ready to match.
type compiled struct {
	route
	middleware.Endpoint

	segments []segment
	allow    string    // the Allow header
	names    [2]string // the placeholders, in the order of the path
}

// segment matches one part of a path between slashes: literal text, or one
// placeholder with text around it: {id} and {env} hold anything and are
// checked where they are used; {rendition} and {track} have their grammar;
// {a|b} is one of the words.
type segment struct {
	prefix, suffix string
	placeholder    string // "" for literal text, which is then all in prefix
	words          []string
}

const maxName = 64 // of a static rendition, characters

func newTable(pages map[string]http.Handler) table {
	var t table
	for _, r := range apiRoutes() {
		t.add(compile(r))
	}
	for _, prefix := range slices.Sorted(maps.Keys(pages)) {
		handle := adaptor.HTTPHandler(pages[prefix])
		t.add(compile(route{
			methods: strings.Join(fiber.DefaultMethods, " "), path: prefix, access: open, body: wanted, mount: true,
			handle: func(_ *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
				c.Request().SetBodyRaw(x.Body) // the adaptor would read what is left, without a limit
				return handle(c)
			},
		}))
	}
	return t
}

func (t *table) add(r *compiled) {
	t.all = append(t.all, r)
	r.Number = len(t.all)
	if r.mount {
		t.mounts = append(t.mounts, r)
	} else {
		t.exact[len(r.segments)] = append(t.exact[len(r.segments)], r)
	}
}

func compile(r route) *compiled {
	if r.limit == 0 {
		r.limit = maxBody
	}
	out := &compiled{route: r, Endpoint: middleware.Endpoint{
		Route: r.path, CORS: r.access == gated, Backend: r.access.ofBackends(), ViewerQuery: r.query,
	}}
	methods := strings.ReplaceAll(" "+r.methods, " "+get, " "+get+" "+fiber.MethodHead)
	out.allow = strings.ReplaceAll(strings.TrimPrefix(methods, " "), " ", ", ") + ", " + fiber.MethodOptions
	if r.mount {
		out.Route += "*"
		out.allow = ""
		return out
	}
	n := 0
	for text := range strings.SplitSeq(r.path[1:], "/") {
		s := segment{prefix: text}
		if before, rest, ok := strings.Cut(text, "{"); ok {
			s.prefix = before
			s.placeholder, s.suffix, _ = strings.Cut(rest, "}")
			if strings.Contains(s.placeholder, "|") {
				s.words = strings.Split(s.placeholder, "|")
			}
			out.names[n] = s.placeholder
			n++
		}
		out.segments = append(out.segments, s)
	}
	return out
}

// match returns the value of the segment's placeholder.
func (s *segment) match(text string) (string, bool) {
	if s.placeholder == "" {
		return "", text == s.prefix
	}
	if len(text) <= len(s.prefix)+len(s.suffix) || !strings.HasPrefix(text, s.prefix) || !strings.HasSuffix(text, s.suffix) {
		return "", false
	}
	value := text[len(s.prefix) : len(text)-len(s.suffix)]
	switch {
	case s.words != nil:
		return value, slices.Contains(s.words, value)
	case s.placeholder == "rendition":
		return value, isName(value, maxName)
	case s.placeholder == "track":
		return value, isName(value, 255)
	}
	return value, true
}

func isName(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// splitPath is a request's path, cut at its slashes.
type splitPath struct {
	segments [maxSegments]string
	n        int
}

// split cuts a path into its segments; false for what no route has: an empty
// segment, too many of them.
func split(text string, root tenant.Root) (p splitPath, ok bool) {
	if root != tenant.RootNone {
		// stream.<host> and image.<host> serve the redirects as Mux's hosts do.
		p.segments[0], p.n = root.String(), 1
	}
	if text == "" || text[0] != '/' {
		return p, false
	}
	text = text[1:]
	for more := true; more; p.n++ {
		if p.n == maxSegments {
			return p, false
		}
		p.segments[p.n], text, more = strings.Cut(text, "/")
		if p.segments[p.n] == "" {
			return p, false
		}
	}
	return p, true
}

// find returns the route of a path, nil for none.
func (t *table) find(text string, root tenant.Root) (*compiled, [2]string) {
	if p, ok := split(text, root); ok {
		for _, r := range t.exact[p.n] {
			if values, ok := r.match(&p); ok {
				return r, values
			}
		}
	}
	if root != tenant.RootNone {
		return nil, [2]string{}
	}
	for _, r := range t.mounts {
		if strings.HasPrefix(text, r.path) || text == r.path[:len(r.path)-1] {
			return r, [2]string{} // without its last slash the page redirects to itself
		}
	}
	return nil, [2]string{}
}

func (r *compiled) match(p *splitPath) (values [2]string, ok bool) {
	n := 0
	for i := range r.segments {
		s := &r.segments[i]
		value, ok := s.match(p.segments[i])
		if !ok {
			return values, false
		}
		if s.placeholder != "" {
			values[n] = value
			n++
		}
	}
	return values, true
}

// value returns what a placeholder of the route holds.
func (r *compiled) value(x *middleware.Exchange, placeholder string) string {
	for i, name := range r.names {
		if name == placeholder {
			return x.Values[i]
		}
	}
	return ""
}

// permission returns what a backend's access token needs for the method, 0 for
// nothing.
func (r *compiled) permission(method string) tenant.Permission {
	switch r.access {
	case system:
		if method == get || method == fiber.MethodHead {
			return tenant.SystemRead
		}
		return tenant.SystemWrite
	case inspected:
		return tenant.SystemRead
	case gated:
		return tenant.VideoRead
	case managed:
		if method == get || method == fiber.MethodHead {
			return tenant.VideoRead
		}
		return tenant.VideoWrite
	case open, signed, known:
	}
	return 0
}

// serves reports whether the route has the method.
func (r *compiled) serves(method string) bool {
	if r.mount {
		return true
	}
	if method == fiber.MethodHead {
		method = get
	}
	for rest := r.methods; rest != ""; {
		var one string
		if one, rest, _ = strings.Cut(rest, " "); one == method {
			return true
		}
	}
	return false
}

// appendTarget appends the path on the delivery host.
func (r *compiled) appendTarget(b []byte, x *middleware.Exchange) []byte {
	rest := r.to.path
	for {
		before, after, ok := strings.Cut(rest, "{")
		b = append(b, before...)
		if !ok {
			return b
		}
		name, after, _ := strings.Cut(after, "}")
		b = append(b, r.value(x, name)...)
		rest = after
	}
}
