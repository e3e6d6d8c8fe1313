package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/demo"
	"github.com/playgate/playgate/identity/identitytest"
	"github.com/playgate/playgate/muxsim"
)

type demoCommand struct {
	Listen    string `default:"127.0.0.1:8080" help:"Address of the gateway."`
	MuxListen string `default:"127.0.0.1:8081" help:"Address of the simulated Mux."`
}

// sessionLength is how long a demo viewer's token lives.
const sessionLength = time.Hour

// Run runs gateway, simulated Mux and identity provider in this process until
// SIGTERM or SIGINT.
func (c *demoCommand) Run(p *Process) (err error) {
	signals, stop := app.Signals()
	defer stop()
	log := p.lastWords()
	p.preventCoreDumps()
	dir, err := os.MkdirTemp("", "playgate-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	others, err := startOthers(c.MuxListen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, others.stop()) }()
	gateway, err := c.gateway(log, dir, others)
	if err != nil {
		return err
	}
	url := baseURL(gateway.Addr())
	sim, err := muxsim.New(muxsim.Config{Environments: demo.Edge(url), Now: time.Now})
	if err != nil {
		return errors.Join(fmt.Errorf("building the simulated Mux: %w", err), gateway.Stop())
	}
	others.mux.Store(sim)
	warnOfOthers(p, gateway.Addr(), others.address)
	_, _ = fmt.Fprintf(p.Stdout, `Playgate demo: everything in it is simulated or made up, and gone when it stops.

  open            %s/demo/
  gateway         %s
  simulated Mux   %s
  ask as a backend:
    curl -u 5d2c1f8e-0c1a-4c3e-9a51-6d0f7be0c1e0:cinema-demo-secret %s/v1/playback-ids/DemoShort01/tokens

Stop it with Ctrl-C.
`, url, url, others.url, url)
	return gateway.Run(context.Background(), signals)
}

// warnOfOthers says where other machines can reach the demo, whose secrets and
// viewers are public.
func warnOfOthers(p *Process, addresses ...net.Addr) {
	for _, a := range addresses {
		if at, ok := a.(*net.TCPAddr); ok && !at.IP.IsLoopback() {
			_, _ = fmt.Fprintf(p.Stderr, "warning: the demo listens on %s, where other machines may reach it: everybody knows its secrets\n", a)
		}
	}
}

// gateway builds the real gateway from the demo's configuration.
func (c *demoCommand) gateway(log io.Writer, dir string, others *others) (*app.App, error) {
	path, err := demo.Write(dir, demo.Place{Listen: c.Listen, Mux: others.url, JWKSURL: others.url + jwksPath})
	if err != nil {
		return nil, err
	}
	var gateway *app.App
	page, err := demo.Handler(demo.Config{
		Mux: others.url, Token: others.session,
		SwitchRules: func(ctx context.Context, name string) error {
			if err := demo.WriteRules(dir, name); err != nil {
				return err
			}
			return gateway.Reload(ctx)
		},
	})
	if err != nil {
		return nil, err
	}
	gateway, err = app.New(app.Options{
		Path: path, Log: log, Process: true, Build: build(), Pages: map[string]http.Handler{"/demo/": page},
		// The demo's own settings: nobody's environment, a quiet log, an admin
		// port that cannot be taken already, and no wait when it stops.
		Environ: []string{
			"PLAYGATE_LOG_FORMAT=text", "PLAYGATE_LOG_LEVEL=error", "PLAYGATE_LOG_ACCESS=errors",
			"PLAYGATE_SERVER_ADMIN_LISTEN=127.0.0.1:0", "PLAYGATE_SERVER_DRAIN_DELAY=0",
		},
	})
	return gateway, err
}

// jwksPath is where the demo's identity provider publishes its keys, beside
// the simulated Mux.
const jwksPath = "/idp/jwks.json"

// others are those whom the gateway works with: the simulated Mux, and the
// identity provider that the viewers' tokens come from.
type others struct {
	address  net.Addr
	url      string
	provider *identitytest.Provider
	mux      atomic.Pointer[muxsim.Sim] // nil until the gateway's address is known
	server   *http.Server
	served   chan error
}

func startOthers(address string) (*others, error) {
	provider, err := identitytest.New(identitytest.Config{Issuer: demo.Issuer, Algorithms: []string{"RS256"}, Now: time.Now})
	if err != nil {
		return nil, fmt.Errorf("making the identity provider: %w", err)
	}
	var bind net.ListenConfig
	listener, err := bind.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for the simulated Mux: %w", err)
	}
	o := &others{address: listener.Addr(), url: baseURL(listener.Addr()), provider: provider, served: make(chan error, 1)}
	routes := http.NewServeMux()
	routes.Handle(jwksPath, provider)
	routes.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if sim := o.mux.Load(); sim != nil {
			sim.ServeHTTP(w, r)
			return
		}
		http.Error(w, "not ready", http.StatusServiceUnavailable)
	})
	o.server = &http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	go func() { o.served <- o.server.Serve(listener) }()
	return o, nil
}

// session makes a viewer's token.
func (o *others) session(v demo.Viewer) (string, time.Time, error) {
	expires := time.Now().Add(sessionLength)
	claims := map[string]any{"sub": v.Subject, "aud": v.Audience, "exp": expires.Unix()}
	maps.Copy(claims, v.Claims)
	token, err := o.provider.Token(claims)
	return token, expires, err
}

func (o *others) stop() error {
	err := o.server.Close()
	if served := <-o.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// baseURL returns the URL of a listener as a browser on this machine types it.
func baseURL(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return "http://" + a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
