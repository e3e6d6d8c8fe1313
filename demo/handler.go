package demo

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/playgate/playgate/playback"
)

//go:embed page
var page embed.FS

// Config is what the page needs from the process around it.
type Config struct {
	// Token makes a viewer's JWT: iss Issuer, sub, aud and the claims of the
	// Viewer. Required.
	Token func(v Viewer) (token string, expires time.Time, err error)
	// SwitchRules puts the rule file of the name in force. Required.
	SwitchRules func(ctx context.Context, name string) error
	// Mux is the base URL of the simulated Mux, which the page may talk to; ""
	// means http://127.0.0.1:8081.
	Mux string
	// Logger gets what went wrong; nil discards.
	Logger *slog.Logger
}

// handler serves /demo/.
type handler struct {
	config Config
	rules  []RuleFile
	files  http.Handler
	policy string // Content-Security-Policy

	mu     sync.Mutex // held while rules are switched
	active string     // guarded by mu: the rule file in force
}

// Handler returns the handler of /demo and everything below it.
func Handler(config Config) (http.Handler, error) {
	if config.Token == nil || config.SwitchRules == nil {
		return nil, errors.New("the demo needs Token and SwitchRules")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Mux == "" {
		config.Mux = defaultMux
	}
	mux, err := url.Parse(config.Mux)
	if err != nil || mux.Host == "" || strings.ContainsAny(mux.Host, " ;,'") {
		return nil, fmt.Errorf("the simulated Mux is at no base URL: %q", config.Mux)
	}
	rules, err := RuleFiles()
	if err != nil {
		return nil, err
	}
	assets, err := fs.Sub(page, "page")
	if err != nil {
		return nil, fmt.Errorf("opening the page: %w", err)
	}
	origin := mux.Scheme + "://" + mux.Host
	h := &handler{
		config: config, rules: rules, active: StandardRules,
		files: http.StripPrefix("/demo/", http.FileServerFS(assets)),
		policy: "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
			"connect-src 'self' " + origin + "; img-src 'self' data: " + origin + "; media-src 'self' blob: " + origin,
	}
	routes := http.NewServeMux()
	routes.Handle("GET /demo", http.RedirectHandler("/demo/", http.StatusPermanentRedirect))
	routes.HandleFunc("GET /demo/", h.page)
	routes.HandleFunc("GET /demo/api/catalogue", h.catalogue)
	routes.HandleFunc("GET /demo/api/session", h.session)
	routes.HandleFunc("GET /demo/api/policy", h.policies)
	routes.HandleFunc("POST /demo/api/policy", h.switchRules)
	return routes, nil
}

// page serves the embedded files. No folder but the page itself is listed.
func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/demo/" && strings.HasSuffix(r.URL.Path, "/") || r.URL.Path != path.Clean(r.URL.Path) && r.URL.Path != "/demo/" {
		refuse(w, http.StatusNotFound, "The demo has no such page.")
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", h.policy)
	header.Set("Referrer-Policy", "strict-origin-when-cross-origin") // playback restrictions look at the referrer
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(r.URL.Path, "/demo/vendor/") {
		header.Set("Cache-Control", "public, max-age=86400") // its path holds its version
	}
	h.files.ServeHTTP(w, r)
}

func (h *handler) catalogue(w http.ResponseWriter, _ *http.Request) {
	h.answer(w, map[string]any{"viewers": Viewers(), "videos": Videos()})
}

func (h *handler) session(w http.ResponseWriter, r *http.Request) {
	v, ok := viewer(r.URL.Query().Get("viewer"))
	if !ok {
		refuse(w, http.StatusNotFound, "The demo has no such viewer.")
		return
	}
	token, expires, err := h.config.Token(v)
	if err != nil {
		h.config.Logger.LogAttrs(r.Context(), slog.LevelError, "demo session", slog.String("viewer", v.Name), slog.Any("error", err))
		refuse(w, http.StatusInternalServerError, "The demo's identity provider made no token; the log has the cause.")
		return
	}
	h.answer(w, map[string]any{"token": token, "viewer": v, "environment": v.Environment, "expires_at": expires.Unix()})
}

func (h *handler) policies(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	active := h.active
	h.mu.Unlock()
	h.answer(w, map[string]any{"active": active, "policies": h.rules})
}

// maxBody bounds what the page sends: {"name":"…"}.
const maxBody = 1 << 10

// switchRules wants JSON, which a page of another site cannot send without a
// preflight, and none is answered here.
func (h *handler) switchRules(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "The body must be sent as application/json.")
		return
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, `The body must be {"name":"…"}.`)
		return
	}
	known := false
	for _, rules := range h.rules {
		known = known || rules.Name == body.Name
	}
	if !known {
		refuse(w, http.StatusBadRequest, "The demo has no such rule file.")
		return
	}
	if err := h.putInForce(r.Context(), body.Name); err != nil {
		h.config.Logger.LogAttrs(r.Context(), slog.LevelError, "demo rules", slog.String("name", body.Name), slog.Any("error", err))
		refuse(w, http.StatusInternalServerError, "The rules could not be switched; the old ones stay in force, and the log has the cause.")
		return
	}
	h.policies(w, r)
}

func (h *handler) putInForce(ctx context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.config.SwitchRules(ctx, name); err != nil {
		return fmt.Errorf("switching to %s: %w", name, err)
	}
	h.active = name
	return nil
}

// answer writes JSON that no cache may keep: it may hold a viewer's token.
func (h *handler) answer(w http.ResponseWriter, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		h.config.Logger.Error("demo answer", slog.Any("error", err))
		refuse(w, http.StatusInternalServerError, "The answer could not be written.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-store")
	_, _ = w.Write(body.Bytes()) // the client is gone if this fails
}

// refuse writes the gateway's error envelope, less code and request ID: these
// endpoints are the demo's, not the API's.
func refuse(w http.ResponseWriter, status int, message string) {
	kinds := map[int]playback.Kind{
		http.StatusBadRequest: playback.InvalidParameters, http.StatusNotFound: playback.NotFound,
		http.StatusUnsupportedMediaType: playback.UnsupportedMediaType, http.StatusInternalServerError: playback.InternalError,
	}
	body, err := json.Marshal(map[string]any{"error": map[string]any{"type": kinds[status], "messages": []string{message}}})
	if err != nil { // strings always marshal
		body = []byte(`{"error":{"type":"internal_error","messages":[]}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails
}
