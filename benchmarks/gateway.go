package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// gateway is the real binary, built for this run, with everything on.
type gateway struct {
	url    string
	viewer string // an RS256 viewer token
	key    *rsa.PublicKey
	cmd    *exec.Cmd
	log    string
}

const configuration = `
server: {listen: %q, admin_listen: %q, drain_delay: 0}
log: {access: 1/100}
keystore: {driver: file, file: {dir: keys}}
organizations:
  - id: bench
    name: Bench
    environments:
      - id: bench
        name: Bench
        token: {default_ttl: 1h}
        viewers:
          - {issuer: "https://idp.bench.example", audience: playgate, jwks_file: jwks.json, algorithms: [RS256]}
        rate_limits: {viewer: "100000000-M", ip: "100000000-M", access_token: ""}
        policy_file: rules.yaml
`

const rules = `
version: 1
rules:
  - {id: blocked, effect: deny, when: 'viewer.claims.?blocked.orValue(false) == true', reason: blocked}
  - {id: embargo, effect: deny, when: 'asset.passthrough == "film-1" && now < timestamp("2027-01-01T00:00:00Z")', reason: not_released}
  - {id: staff, effect: allow, when: 'viewer.claims.?role.orValue("") == "staff"', grant: {ttl: 1h, types: [video, stats]}}
  - id: premium
    effect: allow
    when: 'viewer.authenticated && viewer.claims.?plan.orValue("") == "premium"'
    grant: {ttl: 1h, types: [video, thumbnail, storyboard], params: {video: {max_resolution: 2160p}}}
`

// startGateway builds the binary, writes its files and waits until it is ready.
func startGateway(ctx context.Context, dir string) (*gateway, error) {
	binary := filepath.Join(dir, "playgate")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, ".").CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return nil, fmt.Errorf("building the gateway: %w: %s", err, out)
	}
	g := &gateway{log: filepath.Join(dir, "gateway.log")}
	listen, admin, err := freeAddresses(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.writeFiles(dir, listen, admin); err != nil {
		return nil, err
	}
	logFile, err := os.Create(g.log)
	if err != nil {
		return nil, fmt.Errorf("opening the gateway's log: %w", err)
	}
	defer logFile.Close()                                                                              //nolint:errcheck // the child has its own copy
	g.cmd = exec.CommandContext(ctx, binary, "serve", "--config", filepath.Join(dir, "playgate.yaml")) //nolint:gosec // our own build
	g.cmd.Stdout, g.cmd.Stderr = logFile, logFile
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the gateway: %w", err)
	}
	g.url = "http://" + listen
	if err := g.awaitReady(ctx, "http://"+admin+"/readyz"); err != nil {
		return nil, errors.Join(err, g.stop())
	}
	return g, nil
}

func freeAddresses(ctx context.Context) (listen, admin string, err error) {
	var bind net.ListenConfig
	var found [2]string
	for n := range found {
		l, err := bind.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close() //nolint:errcheck // only its number was wanted
		found[n] = l.Addr().String()
	}
	return found[0], found[1], nil
}

// writeFiles makes the signing key, the identity provider's key, the
// configuration and a viewer token.
func (g *gateway) writeFiles(dir, listen, admin string) error {
	signing, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	idp, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("making the identity provider's key: %w", err)
	}
	g.key = &signing.PublicKey
	if g.viewer, err = viewerToken(idp); err != nil {
		return err
	}
	encode := base64.RawURLEncoding.EncodeToString
	jwks := fmt.Sprintf(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"idp","n":%q,"e":%q}]}`,
		encode(idp.N.Bytes()), encode(big.NewInt(int64(idp.E)).Bytes()))
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(signing)})
	if err := os.MkdirAll(filepath.Join(dir, "keys", "bench"), 0o700); err != nil {
		return fmt.Errorf("making the key folder: %w", err)
	}
	for name, content := range map[string]string{
		"playgate.yaml": fmt.Sprintf(configuration, listen, admin), "rules.yaml": rules, "jwks.json": jwks,
		"keys/bench/BENCHKEY.pem": string(key),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// viewerToken makes an RS256 viewer token of ordinary size.
func viewerToken(key *rsa.PrivateKey) (string, error) {
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://idp.bench.example", "aud": "playgate", "sub": "user-1", "plan": "premium", "iat": now, "exp": now + 3600,
		"email_verified": true, "groups": []string{"subscribers", "beta"}, "locale": "de-DE",
	})
	if err != nil {
		return "", fmt.Errorf("writing viewer claims: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT","kid":"idp"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing a viewer token: %w", err)
	}
	return signed + "." + encode(signature), nil
}

func (g *gateway) awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if res, err := get(ctx, url, ""); err == nil && res.status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(g.log)
			return fmt.Errorf("the gateway is not ready: %s", log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (g *gateway) tokenURL() string { return g.url + "/v1/playback-ids/BENCH00HOT01/token" }

// sample gets the hot token and verifies it with the public key.
func (g *gateway) sample(ctx context.Context) (answer, error) {
	res, err := get(ctx, g.tokenURL(), g.viewer)
	if err != nil {
		return answer{}, err
	}
	if res.status != http.StatusOK {
		return answer{}, fmt.Errorf("asking for a token: status %d: %s", res.status, res.body)
	}
	var body struct {
		Data struct{ Token string }
	}
	if err := json.Unmarshal(res.body, &body); err != nil {
		return answer{}, fmt.Errorf("reading an answer: %w", err)
	}
	dot := strings.LastIndexByte(body.Data.Token, '.')
	if dot < 0 {
		return answer{}, fmt.Errorf("the answer holds no token: %s", res.body)
	}
	signature, err := base64.RawURLEncoding.DecodeString(body.Data.Token[dot+1:])
	if err != nil {
		return answer{}, fmt.Errorf("reading a token's signature: %w", err)
	}
	digest := sha256.Sum256([]byte(body.Data.Token[:dot]))
	if err := rsa.VerifyPKCS1v15(g.key, crypto.SHA256, digest[:], signature); err != nil {
		return answer{}, fmt.Errorf("verifying a token: %w", err)
	}
	return answer{res.header, res.body}, nil
}

func (g *gateway) stop() error {
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the gateway: %w", err)
	}
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("the gateway ended: %w", err)
	}
	return nil
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func get(ctx context.Context, url, bearer string) (response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return response{}, fmt.Errorf("making a request: %w", err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return response{}, fmt.Errorf("asking %s: %w", url, err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return response{}, fmt.Errorf("reading %s: %w", url, err)
	}
	return response{res.StatusCode, res.Header, body}, nil
}
