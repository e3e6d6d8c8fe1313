package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// maxAnswer bounds an answer of Vault, in bytes. Vault itself stores at most
// 1 MiB an entry; a list of 10,000 keys is about 400 kB.
const maxAnswer = 4 << 20

// traffic is what a client is for.
type traffic struct {
	timeout     time.Duration // of one exchange
	retries     int
	connections int // kept open while idle; 0: none
	notes       *notes
}

// newClient returns a client that only the configuration decides about.
func newClient(cfg *Config, traffic traffic) (*api.Client, error) {
	security, err := newTLS(cfg)
	if err != nil {
		return nil, err
	}
	if err := forgetEnvironment(); err != nil {
		return nil, err
	}
	client, err := api.NewClient(&api.Config{
		Address: cfg.Address,
		HttpClient: &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: traffic.timeout}).DialContext,
				TLSClientConfig:     security,
				TLSHandshakeTimeout: traffic.timeout,
				ForceAttemptHTTP2:   true,
				MaxIdleConnsPerHost: traffic.connections,
				DisableKeepAlives:   traffic.connections == 0,
				IdleConnTimeout:     90 * time.Second,
			},
			// The api client follows one redirect by itself, never from https to http.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Timeout:      traffic.timeout,
		MaxRetries:   traffic.retries,
		MinRetryWait: 200 * time.Millisecond,
		MaxRetryWait: 400 * time.Millisecond,
		CheckRetry:   again,
	})
	if err != nil {
		return nil, fmt.Errorf("making Vault client: %w", err)
	}
	if cfg.Namespace != "" {
		client.SetNamespace(cfg.Namespace)
	}
	return client.WithResponseCallbacks(traffic.notes.observe), nil
}

// forgetEnvironment takes Vault's own variables out of the process's environment.
// The api reads them whenever it makes a client, even one whose configuration is
// complete, and fails on a malformed one; some it reads again at every request.
// Nothing else in the process reads them.
func forgetEnvironment() error {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "VAULT_") {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return fmt.Errorf("ignoring the environment variable %s: %w", name, err)
		}
	}
	return nil
}

// again reports whether to repeat a request: as the api does, but not when
// Vault has said that there are too many.
func again(ctx context.Context, answer *http.Response, err error) (bool, error) {
	if answer != nil && answer.StatusCode == http.StatusTooManyRequests {
		return false, nil
	}
	return api.DefaultRetryPolicy(ctx, answer, err)
}

// newTLS returns how Vault's certificate is checked, and ours shown. Ours is
// read at every handshake, because whoever issues it renews it in place.
func newTLS(cfg *Config) (*tls.Config, error) {
	security := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		text, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading CA file: %w", err)
		}
		security.RootCAs = x509.NewCertPool()
		if !security.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("reading CA file: %s holds no certificate in PEM", cfg.CAFile)
		}
	}
	if cfg.Auth.Method == CertMethod {
		security.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cfg.Auth.CertFile, cfg.Auth.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("reading client certificate: %w", err)
			}
			return &pair, nil
		}
	}
	return security, nil
}

// get reads a path. A nil map without an error means that nothing is there: it
// never was, or is deleted.
func (s *Source) get(ctx context.Context, path string, query url.Values) (map[string]any, error) {
	// The api's raw functions apply no timeout of their own; its others hide
	// why something is not found.
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	answer, err := s.client.Logical().ReadRawWithDataWithContext(ctx, path, query)
	if answer != nil {
		defer func() { _ = answer.Body.Close() }() // only read from
	}
	if err != nil {
		if refusal := refusalOf(err); refusal != nil && refusal.status == http.StatusNotFound && refusal.reason == "" {
			return nil, nil
		}
		return nil, fmt.Errorf("reading %s: %w", path, plainly(err))
	}
	secret, err := api.ParseSecret(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading %s: unreadable answer: %w", path, err)
	}
	if secret == nil || secret.Data == nil {
		return nil, fmt.Errorf("reading %s: answer without data", path)
	}
	return secret.Data, nil
}

// refusalError is an answer of Vault other than success, in one line.
type refusalError struct {
	status int
	reason string // "" if Vault gave none
	err    error
}

func (r *refusalError) Error() string {
	if r.reason == "" {
		return fmt.Sprintf("Vault answered %d", r.status)
	}
	return fmt.Sprintf("Vault answered %d: %s", r.status, r.reason)
}

func (r *refusalError) Unwrap() error { return r.err }

// refusalOf returns the refusal in err, nil if err is something else.
func refusalOf(err error) *refusalError {
	answer, ok := errors.AsType[*api.ResponseError](err)
	if !ok {
		return nil
	}
	const enough = 300 // of what may be a proxy's error page
	reason := strings.Join(strings.Fields(strings.Join(answer.Errors, "; ")), " ")
	if len(reason) > enough {
		reason = reason[:enough] + "…"
	}
	return &refusalError{status: answer.StatusCode, reason: reason, err: err}
}

// plainly returns the refusal in err, or err if it is something else.
func plainly(err error) error {
	if refusal := refusalOf(err); refusal != nil {
		return refusal
	}
	return err
}

// forbidden reports whether Vault refused the token. It never answers 401.
func forbidden(err error) bool {
	r, ok := errors.AsType[*refusalError](err)
	return ok && r.status == http.StatusForbidden
}
