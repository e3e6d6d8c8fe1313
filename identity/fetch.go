package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxKeySet     = 1 << 20 // bytes
	fetchTimeout  = 10 * time.Second
	dialTimeout   = 5 * time.Second
	refreshEvery  = 5 * time.Minute
	refreshAtMost = time.Minute // a server's max-age cannot make us ask more often
	fileEvery     = 2 * time.Second
)

// document is a key set as it was read, and when to read it again.
type document struct {
	body []byte
	next time.Duration
}

// reader reads a key set. It honours the context and bounds what it reads.
type reader func(ctx context.Context) (document, error)

// urlReader reads a key set over HTTP.
func urlReader(u *url.URL, transport http.RoundTripper, now func() time.Time) reader {
	client := &http.Client{
		Transport: transport,
		Timeout:   fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // its status is refused below
		},
	}
	location := u.String()
	return func(ctx context.Context) (document, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, location, http.NoBody)
		if err != nil {
			return document{}, errors.New("making the request") // the cause would quote the URL
		}
		request.Header.Set("Accept", "application/jwk-set+json, application/json")
		request.Header.Set("Accept-Encoding", "gzip")
		request.Header.Set("User-Agent", "playgate")
		response, err := client.Do(request)
		if err != nil {
			return document{}, fmt.Errorf("fetching: %w", withoutURL(err))
		}
		defer response.Body.Close() //nolint:errcheck // only read from
		if response.StatusCode != http.StatusOK {
			err := fmt.Errorf("the server answered %d, want 200 (redirects are not followed)", response.StatusCode)
			return document{}, deferred(err, response.Header, now())
		}
		decoded, err := decode(response)
		if err != nil {
			return document{}, err
		}
		body, err := readBounded(decoded)
		if err != nil {
			return document{}, err
		}
		return document{body, nextFetch(response.Header)}, nil
	}
}

// withoutURL drops the wrapper that quotes the URL, whose query may hold a
// secret.
func withoutURL(err error) error {
	if wrapper, ok := errors.AsType[*url.Error](err); ok {
		return wrapper.Err
	}
	return err
}

func readBounded(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	if len(body) > maxKeySet {
		return nil, fmt.Errorf("larger than %d bytes", maxKeySet)
	}
	return body, nil
}

// nextFetch follows Cache-Control: max-age, less the Age that a cache on the way
// reports (RFC 9111 §4.2), where it asks for more frequent refreshes than every
// five minutes. It never makes them rarer: that would delay the withdrawal of a
// key.
func nextFetch(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		fresh, err := seconds(strings.Trim(value, `"`))
		if err != nil {
			continue
		}
		if age, err := seconds(header.Get("Age")); err == nil {
			fresh -= age
		}
		return min(max(fresh, refreshAtMost), refreshEvery)
	}
	return refreshEvery
}

// seconds reads a delay of RFC 9110 and 9111: whole seconds.
func seconds(text string) (time.Duration, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	return time.Duration(n) * time.Second, err
}

// deferredError is a failure after which the server asked to be left alone for
// a while.
type deferredError struct {
	error

	wait time.Duration
}

func (e *deferredError) Unwrap() error { return e.error }

// deferred adds to a failure what Retry-After asks for (RFC 9110 §10.2.3):
// seconds, or a date, which is compared with the server's own clock where it
// tells it.
func deferred(err error, header http.Header, now time.Time) error {
	text := header.Get("Retry-After")
	if wait, wrong := seconds(text); wrong == nil {
		return &deferredError{err, wait}
	}
	at, wrong := http.ParseTime(text)
	if wrong != nil {
		return err
	}
	if date, wrong := http.ParseTime(header.Get("Date")); wrong == nil {
		now = date
	}
	return &deferredError{err, at.Sub(now)}
}

// transportOptions are what differs between transports.
type transportOptions struct {
	loopbackOnly bool           // plain http: dial nothing but this machine
	roots        *x509.CertPool // of the server's certificate; nil: the system's
	resolver     *net.Resolver  // nil but in tests
}

// newTransport returns a transport that dials no address that checkAddress
// refuses. It uses no proxy, which would resolve names on our behalf, and
// keeps no connection, since minutes pass between two requests.
func newTransport(o transportOptions) *http.Transport {
	dialer := &net.Dialer{
		Timeout:  dialTimeout,
		Resolver: o.resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("reading the address to dial: %w", err)
			}
			return checkAddress(target.Addr(), o.loopbackOnly)
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.roots},
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

// checkAddress refuses the addresses that a key set is never fetched from:
// link-local ones (where clouds keep their metadata services), multicast and
// unspecified, in whatever form of IPv6 they are wrapped. Plain http goes to
// loopback addresses only, whatever the name resolves to.
func checkAddress(address netip.Addr, loopbackOnly bool) error {
	address = address.WithZone("").Unmap()
	inner := unwrapNAT64(address)
	switch {
	case inner.IsLinkLocalUnicast(), inner.IsMulticast(), inner.IsUnspecified(),
		inner == netip.MustParseAddr("fd00:ec2::254"): // EC2's metadata service over IPv6
		return fmt.Errorf("key sets are not fetched from %s", inner)
	case loopbackOnly && !address.IsLoopback():
		return fmt.Errorf("%s is not a loopback address, so https is required", address)
	}
	return nil
}

// unwrapNAT64 returns the IPv4 address that a NAT64 gateway would call in place
// of an address with the well-known prefix (RFC 6052 §2.1), any other unchanged.
func unwrapNAT64(address netip.Addr) netip.Addr {
	if !netip.MustParsePrefix("64:ff9b::/96").Contains(address) {
		return address
	}
	b := address.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}

// fileReader reads a key set from a file. Its whole content is compared each
// time, so it does not matter how it was replaced.
func fileReader(path string) reader {
	return func(context.Context) (document, error) {
		info, err := os.Stat(path)
		if err != nil {
			return document{}, fmt.Errorf("reading: %w", err)
		}
		if !info.Mode().IsRegular() {
			return document{}, errors.New("not a regular file") // a pipe would block us
		}
		file, err := os.Open(path) //nolint:gosec // the path is the operator's configuration
		if err != nil {
			return document{}, fmt.Errorf("reading: %w", err)
		}
		defer file.Close() //nolint:errcheck // only read from
		body, err := readBounded(file)
		return document{body, fileEvery}, err
	}
}
