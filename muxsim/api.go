package muxsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	apiPrefix = "/system/v1/"
	keysPath  = apiPrefix + "signing-keys"

	defaultPage = 25
	maxPage     = 100
	maxPages    = 1 << 20
)

// AccessToken may use the API of the environment that lists it.
type AccessToken struct {
	ID, Secret string
	Name       string
	// Permissions are system:read, system:write and video:read here; others mean
	// nothing.
	Permissions []string
}

type accessToken struct {
	AccessToken

	realm *realm
}

// apiKey is a signing key as the API shows it: times are strings of Unix
// seconds.
type apiKey struct {
	ID         KeyID  `json:"id"`
	CreatedAt  string `json:"created_at"`
	PrivateKey string `json:"private_key,omitempty"`
}

// serveAPI answers what api.mux.com answers below /system/v1/ and /video/v1/. It
// has no CORS.
func (s *Sim) serveAPI(w http.ResponseWriter, r *http.Request) {
	s.log.LogAttrs(r.Context(), slog.LevelDebug, "api", slog.String("method", r.Method), slog.String("path", r.URL.Path))
	fault, broken := s.faults.take(r.Method)
	if broken && !fault.Done {
		fault.answer(w, r)
		return
	}
	if broken {
		s.api(discard{http.Header{}}, r)
		fault.answer(w, r)
		return
	}
	s.api(w, r)
}

func (s *Sim) api(w http.ResponseWriter, r *http.Request) {
	token := s.authenticate(r)
	if token == nil {
		writeEnvelope(w, http.StatusUnauthorized, "unauthorized", "Unauthorized request")
		return
	}
	id, one := strings.CutPrefix(r.URL.Path, keysPath+"/")
	switch {
	case strings.HasPrefix(r.URL.Path, videoPrefix):
		token.serveVideo(w, r)
	case r.URL.Path == apiPrefix+"whoami" && r.Method == http.MethodGet:
		token.whoami(w)
	case r.URL.Path != keysPath && !one:
		writeEnvelope(w, http.StatusNotFound, "not_found", "No such resource")
	case !token.may(r.Method):
		writeEnvelope(w, http.StatusUnauthorized, "unauthorized", "Unauthorized request")
	case one:
		token.realm.serveKey(w, r, KeyID(id))
	case r.Method == http.MethodPost:
		s.createKey(w, r, token.realm)
	case r.Method == http.MethodGet:
		token.realm.listKeys(w, r)
	default:
		writeEnvelope(w, http.StatusMethodNotAllowed, "method_not_allowed", "No such method")
	}
}

func (s *Sim) authenticate(r *http.Request) *accessToken {
	id, secret, ok := r.BasicAuth()
	token := s.tokens[id]
	if !ok || token == nil || subtle.ConstantTimeCompare([]byte(token.Secret), []byte(secret)) != 1 {
		return nil
	}
	return token
}

// may reports whether the token has the System permission that a method needs.
func (t *accessToken) may(method string) bool {
	if method == http.MethodGet {
		return slices.Contains(t.Permissions, "system:read")
	}
	return slices.Contains(t.Permissions, "system:write")
}

func (t *accessToken) whoami(w http.ResponseWriter) {
	about := &t.realm.about
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{
		"access_token_name": t.Name, "permissions": append([]string{}, t.Permissions...),
		"environment_id": about.ID, "environment_name": about.Name, "environment_type": "production",
		"organization_id": about.Organization, "organization_name": about.OrganizationName,
	}})
}

// createKey makes a key pair, keeps the public half and gives the private one
// away, in PKCS#1 as Mux does.
func (s *Sim) createKey(w http.ResponseWriter, r *http.Request, in *realm) {
	key, err := rsa.GenerateKey(rand.Reader, minKeyBits)
	id := KeyID(rand.Text() + rand.Text())
	if err == nil {
		err = in.keys.add(id, &key.PublicKey)
	}
	if err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelError, "api", slog.Any("error", err))
		writeEnvelope(w, http.StatusInternalServerError, "internal_error", "The simulator is broken; see its log")
		return
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	created := apiKey{ID: id, CreatedAt: strconv.FormatInt(s.now().Unix(), 10), PrivateKey: base64.StdEncoding.EncodeToString(private)}
	writeJSON(w, http.StatusCreated, map[string]apiKey{"data": created})
}

// all returns the environment's keys, the newest first.
func (r *realm) all() []apiKey {
	added := r.keys.keys.Load().added
	keys := make([]apiKey, 0, len(added))
	for id, key := range added {
		keys = append(keys, apiKey{ID: id, CreatedAt: strconv.FormatInt(key.at.Unix(), 10)})
	}
	slices.SortFunc(keys, func(a, b apiKey) int {
		if c := added[b.ID].at.Compare(added[a.ID].at); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return keys
}

// pageOf reads which page of a list is asked for; what is none is answered.
func pageOf(w http.ResponseWriter, request *http.Request) (page, limit int, ok bool) {
	page, limit = 1, defaultPage
	for _, p := range [...]struct {
		name string
		into *int
		most int
	}{{"page", &page, maxPages}, {"limit", &limit, maxPage}} {
		text := request.URL.Query().Get(p.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > p.most {
			writeEnvelope(w, http.StatusBadRequest, "invalid_parameters", "Invalid Parameters")
			return 0, 0, false
		}
		*p.into = n
	}
	return page, limit, true
}

func (r *realm) listKeys(w http.ResponseWriter, request *http.Request) {
	page, limit, ok := pageOf(w, request)
	if !ok {
		return
	}
	keys := r.all()
	first := min((page-1)*limit, len(keys))
	writeJSON(w, http.StatusOK, map[string][]apiKey{"data": keys[first:min(first+limit, len(keys))]})
}

func (r *realm) serveKey(w http.ResponseWriter, request *http.Request, id KeyID) {
	key, ok := r.keys.keys.Load().added[id]
	switch {
	case !ok:
	case request.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, map[string]apiKey{"data": {ID: id, CreatedAt: strconv.FormatInt(key.at.Unix(), 10)}})
		return
	case request.Method == http.MethodDelete:
		if r.keys.remove(id) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	default:
		writeEnvelope(w, http.StatusMethodNotAllowed, "method_not_allowed", "No such method")
		return
	}
	writeEnvelope(w, http.StatusNotFound, "not_found", "No such signing key")
}
