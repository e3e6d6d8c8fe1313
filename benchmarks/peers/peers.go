package peers

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

// Name is a peer.
type Name string

// The peers. A name ending in -lru remembers its tokens.
const (
	Express    Name = "express"
	ExpressLRU Name = "express-lru"
	Fastify    Name = "fastify"
	FastifyLRU Name = "fastify-lru"
	Go         Name = "go"
	GoLRU      Name = "go-lru"
	Fiber      Name = "fiber"
	Nginx      Name = "nginx"
	HAProxy    Name = "haproxy"
)

// All returns every peer.
func All() []Name {
	return []Name{Express, ExpressLRU, Fastify, FastifyLRU, Go, GoLRU, Fiber, Nginx, HAProxy}
}

// Title says what the peer is made of, for tables.
func (n Name) Title() string {
	return map[Name]string{
		Express: "Express + @mux/mux-node", ExpressLRU: "Express + @mux/mux-node + LRU",
		Fastify: "fastify + jose", FastifyLRU: "fastify + jose + LRU",
		Go: "net/http + golang-jwt", GoLRU: "net/http + golang-jwt + LRU",
		Fiber: "bare fiber", Nginx: "nginx, static file", HAProxy: "HAProxy jwt_verify",
	}[n]
}

// signs reports whether the peer answers tokens that it signed itself.
func (n Name) signs() bool {
	switch n {
	case Express, ExpressLRU, Fastify, FastifyLRU, Go, GoLRU:
		return true
	case Fiber, Nginx, HAProxy:
	}
	return false
}

// Answer is one answer of the gateway, to be imitated.
type Answer struct {
	Header http.Header
	Body   []byte
}

// Config is what all peers share.
type Config struct {
	Dir        string          // an existing folder; each peer makes one of its own in it
	Key        *rsa.PrivateKey // signs playback tokens
	KeyID      string
	PlaybackID string // the one that fiber, nginx and HAProxy answer for; any other is signed too by those that sign
	Answer     Answer // the gateway's for PlaybackID
	Viewers    Viewers
}

// Viewers is what HAProxy asks of a viewer's token, as the gateway does. Only
// HAProxy needs it.
type Viewers struct {
	Key              *rsa.PublicKey
	Issuer, Audience string
	Token            string // one that is valid
}

// Path is where every peer, and the gateway, answers a token.
func Path(playbackID string) string { return "/v1/playback-ids/" + playbackID + "/token" }

// Start starts a peer and checks it: its tokens verify by muxsim's rules, its
// answers are as long as the gateway's, and HAProxy refuses a forged token. The
// error wraps ErrMissing when a program is not installed.
func Start(ctx context.Context, name Name, c Config) (*Server, error) {
	dir := filepath.Join(c.Dir, string(name))
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // nginx's workers may be another user
		return nil, fmt.Errorf("making a peer's folder: %w", err)
	}
	cmd, err := command(ctx, name, dir, c)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", name, err)
	}
	s, err := cmd.start(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	s.Name = name
	if err := s.check(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), s.Stop())
	}
	return s, nil
}

// command writes a peer's files and says how it is run.
func command(ctx context.Context, name Name, dir string, c Config) (program, error) {
	port, err := freePort(ctx)
	if err != nil {
		return program{}, err
	}
	p := program{port: port, ready: Path(c.PlaybackID)}
	switch name {
	case Express, ExpressLRU, Fastify, FastifyLRU, Go, GoLRU:
		if p.env, err = signing(name, dir, port, c); err != nil {
			return program{}, err
		}
	case Fiber, Nginx, HAProxy:
	}
	switch name {
	case Express, ExpressLRU:
		err = p.node(ctx, "express.mjs")
	case Fastify, FastifyLRU:
		err = p.node(ctx, "fastify.mjs")
	case Go, GoLRU:
		err = p.build(ctx, dir, "./peers/golang")
	case Fiber:
		err = p.fiber(ctx, dir, c)
	case Nginx:
		err = p.nginx(dir, c)
	case HAProxy:
		err = p.haproxy(dir, c)
	}
	return p, err
}

// signing is the environment of a peer that signs: what node/settings.mjs and
// golang/ read.
func signing(name Name, dir string, port int, c Config) ([]string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("encoding the signing key: %w", err)
	}
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return nil, fmt.Errorf("writing the signing key: %w", err)
	}
	filler, err := filler(c)
	if err != nil {
		return nil, err
	}
	cache := ""
	if name == ExpressLRU || name == FastifyLRU || name == GoLRU {
		cache = "lru"
	}
	return []string{
		"NODE_ENV=production", "PORT=" + strconv.Itoa(port), "CACHE=" + cache, "FILLER=" + strconv.Itoa(filler),
		"SIGNING_KEY_ID=" + c.KeyID, "SIGNING_KEY_FILE=" + file,
	}, nil
}
