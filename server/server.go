package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server/transport"
)

// The limits of one connection; timedListener keeps the times. ReadBuffer is also the limit of the request
// line with all headers.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	idleTimeout  = 60 * time.Second
	readBuffer   = 16 << 10

	handshakeTimeout = 5 * time.Second // it and the first request have it and readTimeout together
)

// otherMethod stands for every method that fiber does not know, in routing, in
// logs and in metrics.
const otherMethod = "_OTHER"

// Issuer answers requests for tokens: *issuer.Issuer. Its errors are
// *playback.Error; any other is answered as an internal error.
type Issuer interface {
	Issue(ctx context.Context, env *issuer.Environment, req *issuer.Request) (*issuer.Answer, error)
}

// KeyPublisher gives the public keys of an environment as a JWKS document,
// with a validator that changes with it; false until they are known.
type KeyPublisher interface {
	JWKS(env playback.EnvironmentID) (body []byte, etag string, ok bool)
}

// KeyManager changes an environment's signing keys. Its errors are
// *playback.Error (not_found for a key that is not there); any other is
// answered as an internal error.
type KeyManager interface {
	// List returns the keys that the store has now, in any order.
	List(ctx context.Context, env playback.EnvironmentID) ([]SigningKey, error)
	// Create makes a key whose private half is handed out, as the base64 of a
	// PEM (PKCS#1), so that it counts as external from the beginning.
	Create(ctx context.Context, o KeyOrder) (SigningKey, playback.Secret, error)
	// Activate and Retire return the key as it is afterwards.
	Activate(ctx context.Context, o KeyOrder) (SigningKey, error)
	Retire(ctx context.Context, o KeyOrder) (SigningKey, error)
	// Delete ends a key and every token that it signed.
	Delete(ctx context.Context, o KeyOrder) error
}

// SigningKey is what the API says of a key. A zero time is not known, or never.
type SigningKey struct {
	ID          playback.KeyID
	State       string // prepared, active, retired
	CreatedAt   time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time
	LastExpiry  time.Time // the latest exp ever handed out under it
	DeletableAt time.Time
	External    bool // the private half was handed out or came from elsewhere
}

// KeyOrder is a change to an environment's keys, and who wants it.
type KeyOrder struct {
	Environment playback.EnvironmentID
	ID          playback.KeyID // "" for a new key
	By          string         // the access token's ID, for the audit record
	RequestID   string
	// Force deletes a key that may be in use; Reason, for the audit record, is
	// why, and never empty then.
	Force  bool
	Reason string
}

// Config is what a Server is made of.
type Config struct {
	// Snapshot returns the configuration in force, never nil. It is called once
	// per request.
	Snapshot  func() *Snapshot
	Issuer    Issuer
	Identity  middleware.Viewers
	JWKS      KeyPublisher
	Keys      KeyManager
	Grants    GrantManager
	Webhooks  Webhooks
	Explainer Explainer
	Policies  PolicyManager

	Logger     *slog.Logger          // nil: silent
	AccessLog  string                // log.access, see SetAccessLog
	Registerer prometheus.Registerer // nil: metrics are counted, not published
	Now        func() time.Time      // nil: time.Now
	Rand       func() float64        // in [0,1), for refresh_at; nil: math/rand/v2

	// Connections bounds the connections; trusted proxies may have all of them.
	Connections transport.Limits

	// Pages are net/http handlers below paths that start and end with "/",
	// beside the routes of the API: the demo's. Nothing there is authenticated
	// or limited.
	Pages map[string]http.Handler
}

// Server is the HTTP edge. Make one with New.
type Server struct {
	cfg     Config
	app     *fiber.App
	routes  table
	auth    *middleware.Authenticator
	limits  *middleware.Limits
	metrics *metrics
	log     *middleware.AccessLog

	connections       *transport.Connections
	connectionMetrics *transport.Metrics

	parsing chan struct{} // a place for each large body that is being parsed

	realTime bool // the clock is the real one, which deadlines run on

	// warned is the configuration under which warnOfProxy has warned.
	warned atomic.Pointer[Snapshot]

	// explaining has the environments for which something is being explained, by
	// playback.EnvironmentID.
	explaining sync.Map

	draining atomic.Bool
	sampling atomic.Uint64 // a middleware.Sampling

	mu        sync.Mutex // guards what follows
	listeners []net.Listener
	stopped   bool
}

// New builds a Server. It does no I/O.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	realTime := cfg.Now == nil
	if realTime {
		cfg.Now = time.Now //nolint:forbidigo // the one default
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	s := &Server{
		cfg: cfg, realTime: realTime,
		routes:  newTable(cfg.Pages),
		auth:    middleware.NewAuthenticator(cfg.Identity),
		limits:  middleware.NewLimits(cfg.Now, cfg.Registerer),
		parsing: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	s.connectionMetrics = transport.NewMetrics(cfg.Registerer)
	s.connections = transport.New(transport.Config{
		Limits: cfg.Connections, Logger: cfg.Logger, Name: transport.PublicListener, Metrics: s.connectionMetrics,
		Exempt: func(peer netip.Addr) bool { return cfg.Snapshot().edge.Trusts(peer) },
	})
	s.SetAccessLog(cfg.AccessLog)
	s.metrics = newMetrics(s.routes.all, cfg.Registerer, func(id playback.EnvironmentID) bool {
		_, ok := cfg.Snapshot().edge.ByID(id)
		return ok
	})
	s.app = fiber.New(fiber.Config{
		ReadBufferSize:               readBuffer,
		BodyLimit:                    1, // what fasthttp reads by itself before the handler runs; see body
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		DisableStartupMessage:        true,
		DisableDefaultContentType:    true,
		CaseSensitive:                true,
		StrictRouting:                true,
		RequestMethods:               append(append([]string(nil), fiber.DefaultMethods...), otherMethod),
	})
	s.log = middleware.NewAccessLog(middleware.AccessLogConfig{
		Logger: cfg.Logger, Now: cfg.Now, Observe: s.metrics.observe,
		Sampling: func() middleware.Sampling { return middleware.Sampling(s.sampling.Load()) },
	})
	fast := s.app.Server()
	fast.CloseOnShutdown = true
	fast.LazyRequestTime = true       // an Exchange has its own; the clock is not free
	fast.SecureErrorLogMessage = true // headers hold credentials
	// fiber would look for a route, and answer methods that it does not know by
	// itself, without envelope or request ID.
	fast.Handler = s.answer
	fast.HeaderReceived = s.headerReceived
	fast.ExpectHandler = s.expect
	fast.ErrorHandler = s.transportError
	return s
}

// ConnectionMetrics returns what counts the server's connections, for those of
// other listeners.
func (s *Server) ConnectionMetrics() *transport.Metrics { return s.connectionMetrics }

// Serve answers connections of the listener until Shutdown; it then returns
// nil, as it does at once after Shutdown. The listener is without TLS, which
// secure adds; nil: there is none. Shutdown closes it.
func (s *Server) Serve(l net.Listener, secure *tls.Config) error {
	l = s.connections.Listen(l)
	if secure == nil {
		return s.serve(strictListener{timedListener{l, readTimeout}})
	}
	return s.serve(strictListener{tls.NewListener(timedListener{l, handshakeTimeout + readTimeout}, secure)})
}

func (s *Server) serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return l.Close()
	}
	l = &onceListener{Listener: l, close: sync.OnceValue(l.Close)}
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	err := s.app.Listener(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	return err
}

// Drain tells clients to go elsewhere: from now on every answer closes its
// connection. The server goes on answering.
func (s *Server) Drain() { s.draining.Store(true) }

// lastRequests is how long a stop waits for requests whose header is on its way.
const lastRequests = 500 * time.Millisecond

// Shutdown stops accepting, lets the requests under way finish until the
// context ends, and returns the context's error if some did not. It may be
// called before Serve and more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	s.stopped = true
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	// A Serve that has not yet told fasthttp of its listener finds it closed.
	for _, l := range listeners {
		_ = l.Close() // fasthttp closes it again and returns the error
	}
	defer s.log.Flush()
	// fasthttp waits for new connections until they have sent a request or five
	// seconds are over. Browsers and balancers open some that they do not use.
	silent := time.AfterFunc(lastRequests, s.connections.CloseIdle)
	defer silent.Stop()
	if err := s.app.ShutdownWithContext(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("waiting for requests under way: %w", err)
	}
	return nil
}

// onceListener may be closed more than once, as ours are: by Shutdown and by
// fasthttp.
type onceListener struct {
	net.Listener

	close func() error
}

func (l *onceListener) Close() error { return l.close() }

// SetAccessLog changes which answers are logged that are no refusal: "all",
// "errors" (or nothing), or one in N as "1/N". What is none of these logs all
// of them; configs refuses it long before.
func (s *Server) SetAccessLog(text string) {
	sampling, err := middleware.ParseSampling(text)
	if err != nil {
		sampling = 1
	}
	s.sampling.Store(uint64(sampling))
}

// answer is the whole edge, from the outside in: every request comes here and
// is answered when it returns. dispatch goes on with the stages of contract §8.
func (s *Server) answer(rc *fasthttp.RequestCtx) {
	if e, ok := rc.UserValue(expectationKey{}).(*expectation); ok {
		s.resume(e)
		return
	}
	c := s.acquire(rc)
	defer s.app.ReleaseCtx(c)
	x := s.begin(c)
	defer x.Close()
	s.finish(c, x, s.guard(c, x, s.dispatch))
}

func (s *Server) acquire(rc *fasthttp.RequestCtx) *fiber.Ctx {
	if !isKnownMethod(utils.UnsafeString(rc.Method())) {
		rc.Request.Header.SetMethod(otherMethod)
	}
	return s.app.AcquireCtx(rc)
}

// begin opens the exchange of a request whose header has arrived.
func (s *Server) begin(c *fiber.Ctx) *middleware.Exchange {
	x := middleware.Open(s.cfg.Now())
	timed(c.Context().Conn()).begin()
	snapshot := s.cfg.Snapshot()
	x.Snapshot, x.Server = snapshot.edge, snapshot
	middleware.RequestID(c, x)
	c.Response().Header.SetCanonical([]byte(fiber.HeaderCacheControl), []byte(noStore))
	return x
}

// finish completes the answer, which is an error's if there is one.
func (s *Server) finish(c *fiber.Ctx, x *middleware.Exchange, err error) {
	if err != nil {
		s.writeError(c, x, err)
	}
	s.limits.WriteLimit(c, x)
	middleware.WriteCORS(c, x)
	if s.draining.Load() {
		c.Context().SetConnectionClose()
	}
	now := s.log.Record(c, x)
	if !s.realTime {
		now = time.Now() //nolint:forbidigo // deadlines are the runtime's, whatever the tests inject
	}
	timed(c.Context().Conn()).rest(now, heldBy(c.Response()))
}

// heldBy returns how many bytes an answer holds until it is written beyond what
// every connection may.
func heldBy(r *fasthttp.Response) int {
	if r.IsBodyStream() {
		return 0
	}
	if n := len(r.Body()); n > freeAnswer {
		return n
	}
	return 0
}

// guard runs stages of a request; a panic in one is their error.
func (*Server) guard(c *fiber.Ctx, x *middleware.Exchange, stages func(*fiber.Ctx, *middleware.Exchange) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = middleware.Recovered(value)
		}
	}()
	return stages(c, x)
}

const noStore = "private, no-store"

func isKnownMethod(method string) bool {
	switch method {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodDelete,
		fiber.MethodConnect, fiber.MethodOptions, fiber.MethodTrace, fiber.MethodPatch:
		return true
	}
	return false
}
