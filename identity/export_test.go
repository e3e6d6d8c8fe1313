package identity

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
)

// The bounds that tests walk along.
const (
	MaxToken   = maxToken
	MaxKeySet  = maxKeySet
	MaxWaiters = maxWaiters
	MaxTries   = maxTries
)

// VerifyJWS verifies a JWS, whose payload may be anything, with a key set, by
// the code that Verify runs: parseCompact, pins, parseKeys, keySet.verify.
// Only the claims are left out.
func VerifyJWS(raw string, set []byte, algorithms ...string) error {
	c, err := parseCompact(raw)
	if err != nil {
		return err
	}
	if !(Issuer{Algorithms: algorithms}).pins(c.algorithm) {
		return errors.New("not pinned")
	}
	parsed, err := parseKeys(set, "")
	if err != nil {
		return err
	}
	if (&keySet{parsed.keys}).verify(c) == nil {
		return fmt.Errorf("no key verifies; dropped: %q", parsed.dropped)
	}
	return nil
}

// NewTransport returns the transport that key sets are fetched with, on a
// resolver of the test's.
func NewTransport(loopbackOnly bool, resolver *net.Resolver) *http.Transport {
	return newTransport(transportOptions{loopbackOnly: loopbackOnly, resolver: resolver})
}

// CheckAddress tells whether key sets may be fetched from an address.
func CheckAddress(address netip.Addr, loopbackOnly bool) error {
	return checkAddress(address, loopbackOnly)
}

// DecodeObject is the strict JSON reader.
func DecodeObject(data []byte) (map[string]any, error) { return decodeObject(data) }

// ParseKeys returns what is wrong with a document that was read from a URL.
func ParseKeys(body []byte, location string) error {
	_, err := parseKeys(body, location)
	return err
}
