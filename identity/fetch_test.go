package identity_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/playback"
)

// fetch loads a key set over a real connection and returns what became of a
// good token, and the log.
func fetch(t *testing.T, raw, url string) (playback.Code, string) {
	t.Helper()
	var log bytes.Buffer
	issuer := trust(prod)
	issuer.JWKSURL = url
	v := start(t, identity.Config{Now: noon, Logger: slog.New(slog.NewTextHandler(&log, nil))}, issuer)
	v.Stop() // so that the log may be read
	_, err := verify(v, raw, prod)
	return codeOf(t, err), log.String()
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestKeySetIsFetchedOverHTTP(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	if got, log := fetch(t, sign(t, p, nil), serve(t, p).URL); got != "" {
		t.Errorf("%q, log %s", got, log)
	}
}

// TestRedirectsAreNotFollowed, not even to a good key set on the same host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	raw := sign(t, p, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		target := &counted{Handler: p}
		mux := http.NewServeMux()
		mux.Handle("/target", target)
		mux.Handle("/jwks.json", http.RedirectHandler("/target", status))
		got, log := fetch(t, raw, serve(t, mux).URL+"/jwks.json")
		if got != unavailable || target.requests.Load() != 0 || !strings.Contains(log, "redirects are not followed") {
			t.Errorf("%d: %q, %d requests to the target, log %s", status, got, target.requests.Load(), log)
		}
	}
}

func TestOtherStatusesAreNoKeySet(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	raw := sign(t, p, nil)
	for _, status := range []int{201, 203, 404, 429, 500} {
		got, _ := fetch(t, raw, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			p.ServeHTTP(w, r)
		})).URL)
		if got != unavailable {
			t.Errorf("%d: %q, want %s", status, got, unavailable)
		}
	}
}

// TestKeySetIsAtMostOneMebibyte, whatever the server says of its length.
func TestKeySetIsAtMostOneMebibyte(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	raw := sign(t, p, nil)
	set, err := p.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]playback.Code{
		identity.MaxKeySet: "", identity.MaxKeySet + 1: unavailable, 20 * identity.MaxKeySet: unavailable,
	} {
		body := append(bytes.Repeat([]byte(" "), size-len(set)), set...)
		got, log := fetch(t, raw, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for chunk := range slices.Chunk(body, 1<<16) {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})).URL)
		if got != want {
			t.Errorf("%d bytes: %q, want %q; log %.300s", size, got, want, log)
		}
	}
}

// TestURLsAreLoggedWithoutTheirQuery, which may hold a secret, also in errors.
func TestURLsAreLoggedWithoutTheirQuery(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	raw := sign(t, p, nil)
	closed := httptest.NewServer(p)
	closed.Close()
	for name, url := range map[string]string{"loaded": serve(t, p).URL, "refused": closed.URL, "404": serve(t, http.NotFoundHandler()).URL} {
		_, log := fetch(t, raw, url+"/jwks.json?key=s3cret")
		if !strings.Contains(log, url+"/jwks.json") || strings.Contains(log, "s3cret") {
			t.Errorf("%s: log %s", name, log)
		}
	}
}

// TestAddressesThatKeySetsAreNotFetchedFrom is the table of what the dialer
// refuses, after names were resolved.
func TestAddressesThatKeySetsAreNotFetchedFrom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address      string
		loopbackOnly bool
		want         bool
	}{
		{"203.0.113.7", false, true},
		{"2001:db8::7", false, true},
		{"10.0.0.7", false, true},
		{"fd12::7", false, true},
		{"127.0.0.1", false, true},
		{"64:ff9b::203.0.113.7", false, true},
		{"169.254.169.254", false, false},
		{"169.254.0.1", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"64:ff9b::169.254.169.254", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"febf::1", false, false},
		{"fd00:ec2::254", false, false},
		{"224.0.0.1", false, false},
		{"ff02::1", false, false},
		{"0.0.0.0", false, false},
		{"::", false, false},
		{"::ffff:0.0.0.0", false, false},
		{"127.0.0.1", true, true},
		{"127.255.255.254", true, true},
		{"::1", true, true},
		{"::ffff:127.0.0.1", true, true},
		{"10.0.0.7", true, false},
		{"203.0.113.7", true, false},
		{"169.254.169.254", true, false},
		{"0.0.0.0", true, false},
		{"64:ff9b::127.0.0.1", true, false},
	} {
		if err := identity.CheckAddress(netip.MustParseAddr(c.address), c.loopbackOnly); (err == nil) != c.want {
			t.Errorf("CheckAddress(%s, loopback only %t) = %v, want allowed: %t", c.address, c.loopbackOnly, err, c.want)
		}
	}
}

// TestResolvedAddressIsChecked: the name looks harmless, what it resolves to
// is not. A DNS server of the test's answers.
func TestResolvedAddressIsChecked(t *testing.T) {
	t.Parallel()
	resolver := nameServer(t, map[string]string{
		"metadata.example.": "169.254.169.254",
		"six.example.":      "fe80::1",
		"mapped.example.":   "::ffff:169.254.169.254",
		"zero.example.":     "0.0.0.0",
		"rebound.example.":  "192.0.2.1",
	})
	for _, c := range []struct {
		url          string
		loopbackOnly bool
		want         string
	}{
		{"https://metadata.example/", false, "not fetched from 169.254.169.254"},
		{"https://six.example/", false, "not fetched from fe80::1"},
		{"https://mapped.example/", false, "not fetched from 169.254.169.254"},
		{"https://zero.example/", false, "not fetched from 0.0.0.0"},
		{"http://rebound.example/", true, "not a loopback address"}, // a name under .localhost that lies
	} {
		client := &http.Client{Transport: identity.NewTransport(c.loopbackOnly, resolver), Timeout: 30 * time.Second}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("GET %s: %v, want %q", c.url, err, c.want)
		}
	}
}

// nameServer starts a DNS server on a loopback port that knows one address per
// name, and returns a resolver that asks it.
func nameServer(t *testing.T, names map[string]string) *net.Resolver {
	t.Helper()
	var config net.ListenConfig
	socket, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, peer, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := answerDNS(buffer[:n], names); reply != nil {
				socket.WriteTo(reply, peer) //nolint:errcheck // the client would time out
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

func answerDNS(query []byte, names map[string]string) []byte {
	var message dnsmessage.Message
	if message.Unpack(query) != nil || len(message.Questions) != 1 {
		return nil
	}
	question := message.Questions[0]
	message.Response, message.Authoritative, message.Additionals = true, true, nil
	header := dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class, TTL: 60}
	address, err := netip.ParseAddr(names[question.Name.String()])
	switch {
	case err != nil:
		message.RCode = dnsmessage.RCodeNameError
	case address.Is4() && question.Type == dnsmessage.TypeA:
		message.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: address.As4()}}}
	case !address.Is4() && question.Type == dnsmessage.TypeAAAA:
		message.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}}}
	}
	reply, err := message.Pack()
	if err != nil {
		return nil
	}
	return reply
}
