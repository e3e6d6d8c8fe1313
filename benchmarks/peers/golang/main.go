// Command golang is a peer: a token server as a Go programmer writes one in an
// afternoon, with net/http, golang-jwt and, with CACHE=lru, an LRU. It reads the
// same environment as the peers in ../node.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"
)

const lifetime = time.Hour

func main() {
	s, err := newServer()
	if err == nil {
		http.HandleFunc("GET /v1/playback-ids/{id}/token", s.token)
		err = http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil) //nolint:gosec // as people write it: no timeouts
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

type server struct {
	keyID  string
	key    *rsa.PrivateKey
	tokens *lru.Cache[string, signed] // nil: every token is signed anew
	filler string
}

type signed struct {
	token string
	until time.Time // half its life: then a new one is made
}

// answer is what a frontend needs. Filler makes it as long as the gateway's.
type answer struct {
	Token  string `json:"token"`
	URL    string `json:"url"`
	Filler string `json:"filler"`
}

func newServer() (*server, error) {
	pem, err := os.ReadFile(os.Getenv("SIGNING_KEY_FILE")) //nolint:gosec // the suite names it
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	s := &server{keyID: os.Getenv("SIGNING_KEY_ID")}
	if s.key, err = jwt.ParseRSAPrivateKeyFromPEM(pem); err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	n, err := strconv.Atoi(os.Getenv("FILLER"))
	if err != nil {
		return nil, fmt.Errorf("reading FILLER: %w", err)
	}
	s.filler = strings.Repeat("x", n)
	if os.Getenv("CACHE") == "lru" {
		if s.tokens, err = lru.New[string, signed](100_000); err != nil {
			return nil, fmt.Errorf("making the LRU: %w", err)
		}
	}
	return s, nil
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	kind := r.URL.Query().Get("type")
	if kind == "" {
		kind = "video"
	}
	audience, ok := map[string]string{"video": "v", "thumbnail": "t", "gif": "g", "storyboard": "s"}[kind]
	if !ok {
		http.Error(w, "unknown type", http.StatusBadRequest)
		return
	}
	token, err := s.sign(id, audience)
	if err != nil {
		http.Error(w, "signing failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-store")
	w.Header().Set("X-Request-Id", rand.Text())
	_ = json.NewEncoder(w).Encode(answer{token, "https://stream.mux.com/" + id + ".m3u8?token=" + token, s.filler}) //nolint:errchkjson // strings only; the caller may be gone
}

func (s *server) sign(id, audience string) (string, error) {
	now := time.Now()
	if s.tokens != nil {
		if known, ok := s.tokens.Get(id + " " + audience); ok && now.Before(known.until) {
			return known.token, nil
		}
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"sub": id, "aud": audience, "exp": now.Add(lifetime).Unix(), "kid": s.keyID, "max_resolution": "2160p",
	}).SignedString(s.key)
	if err != nil {
		return "", err
	}
	if s.tokens != nil {
		s.tokens.Add(id+" "+audience, signed{token, now.Add(lifetime / 2)})
	}
	return token, nil
}
