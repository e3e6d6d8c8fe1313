package identity_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/playgate/playgate/identity"
	"github.com/playgate/playgate/identity/identitytest"
)

// fixtureKeys are the keys that testdata/jwks speaks of: rsa, ec and ed sign,
// other belongs to somebody else.
type fixtureKeys struct {
	*identitytest.Provider

	words *strings.Replacer // what stands for @rsa.n and the like
}

var theFixtureKeys = sync.OnceValues(newFixtureKeys)

func newFixtureKeys() (fixtureKeys, error) {
	p, err := identitytest.New(identitytest.Config{Issuer: issuerURL, Now: noon})
	if err != nil {
		return fixtureKeys{}, err
	}
	p.Withdraw(p.KeyIDs()[0])
	var words []string
	for _, name := range []string{"rsa", "other"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return fixtureKeys{}, err
		}
		certificate, err := selfSigned(key)
		if err != nil {
			return fixtureKeys{}, err
		}
		thumb, thumb256 := sha1.Sum(certificate), sha256.Sum256(certificate)
		words = append(words,
			"@"+name+".kid", name+"-1", "@"+name+".n", encode(key.N.Bytes()), "@"+name+".e", "AQAB",
			"@"+name+".padded", base64.StdEncoding.EncodeToString(append([]byte{0}, key.N.Bytes()...)),
			"@"+name+".x5c", base64.StdEncoding.EncodeToString(certificate),
			"@"+name+".x5t256", encode(thumb256[:]), "@"+name+".x5t", encode(thumb[:]),
		)
		if name == "rsa" {
			p.Adopt("rsa-1", "RS256", key)
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fixtureKeys{}, err
	}
	public, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fixtureKeys{}, err
	}
	p.Adopt("ec-1", "ES256", ec)
	p.Adopt("ed-1", "EdDSA", ed)
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		return fixtureKeys{}, err
	}
	words = append(words, "@ec.kid", "ec-1", "@ec.x", encode(point[1:33]), "@ec.y", encode(point[33:]), "@ed.kid", "ed-1", "@ed.x", encode(public))
	return fixtureKeys{p, strings.NewReplacer(words...)}, nil
}

func selfSigned(key crypto.Signer) ([]byte, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: noon(), NotAfter: noon().AddDate(1, 0, 0)}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// fixture returns a document of testdata/jwks with the keys in it.
func (k fixtureKeys) fixture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "jwks", name))
	if err != nil {
		t.Fatal(err)
	}
	filled := k.words.Replace(string(text))
	if strings.Contains(filled, `"@`) {
		t.Fatalf("%s has a placeholder that stands for nothing:\n%s", name, filled)
	}
	return []byte(filled)
}

func fixtures(t testing.TB) fixtureKeys {
	t.Helper()
	k, err := theFixtureKeys()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKeySetsOfTheField: the shapes in which identity providers and libraries
// publish key sets, each with a token of each of its signing keys.
func TestKeySetsOfTheField(t *testing.T) {
	t.Parallel()
	k := fixtures(t)
	for name, c := range map[string]struct {
		usable  int
		dropped int      // with a reason
		headers []string // of tokens that verify, after the kid of their key
	}{
		"okta.json":                 {2, 0, []string{`rsa-1 {"kid":"rsa-1","alg":"RS256"}`}},
		"auth0.json":                {1, 0, []string{`rsa-1 {"alg":"RS256","typ":"JWT","kid":"rsa-1"}`}},
		"keycloak.json":             {2, 0, []string{`rsa-1 {"alg":"RS256","typ":"JWT","kid":"rsa-1"}`, `ed-1 {"alg":"EdDSA","typ":"JWT","kid":"ed-1"}`}},
		"entra.json":                {2, 0, []string{`rsa-1 {"typ":"JWT","alg":"RS256","kid":"rsa-1"}`, `rsa-1 {"typ":"JWT","alg":"RS256","x5t":"rsa-1","kid":"rsa-1"}`}},
		"azure-b2c.json":            {1, 0, []string{`rsa-1 {"alg":"RS256","kid":"rsa-1","typ":"JWT"}`}},
		"apple.json":                {2, 0, []string{`rsa-1 {"kid":"rsa-1","alg":"RS256"}`}},
		"firebase.json":             {2, 0, []string{`rsa-1 {"alg":"RS256","kid":"rsa-1","typ":"JWT"}`}},
		"cognito.json":              {2, 0, []string{`rsa-1 {"kid":"rsa-1","alg":"RS256"}`}},
		"clerk.json":                {1, 0, []string{`rsa-1 {"alg":"RS256","cat":"cl_B7d4PD111AAA","kid":"rsa-1","typ":"JWT"}`}},
		"dotnet-nulls.json":         {1, 0, []string{`rsa-1 {"alg":"RS256","kid":"rsa-1","typ":"at+jwt"}`}},
		"dotnet-empty-strings.json": {1, 0, []string{`rsa-1 {"alg":"RS256","kid":"rsa-1"}`}},
		"other-primes-empty.json":   {1, 0, []string{`rsa-1 {"alg":"RS256","kid":"rsa-1"}`}},
		"no-kid.json":               {1, 0, []string{`ec-1 {"alg":"ES256"}`, `ec-1 {"alg":"ES256","kid":"anything"}`}},
		"web-crypto.json":           {1, 0, []string{`ec-1 {"alg":"ES256","kid":"ec-1"}`}},
		"padded-base64.json":        {1, 0, []string{`rsa-1 {"alg":"RS256","kid":"rsa-1"}`}},
		"rfc9864.json":              {1, 0, []string{`ed-1 {"alg":"Ed25519","kid":"ed-1"}`, `ed-1 {"alg":"EdDSA","kid":"ed-1"}`}},
		"one-bad-key.json":          {1, 3, []string{`rsa-1 {"alg":"RS256","kid":"rsa-1"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := k.fixture(t, name)
			usable, dropped, err := identity.ReadKeySet(body)
			if usable != c.usable || len(dropped) != c.dropped || err != nil {
				t.Errorf("ReadKeySet() = %d, %q, %v; want %d usable and %d dropped", usable, dropped, err, c.usable, c.dropped)
			}
			v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: garbage(string(body))}}, trust(prod))
			for _, signed := range c.headers {
				kid, header, _ := strings.Cut(signed, " ")
				raw, err := k.Sign(kid, []byte(header), []byte(payload(t, nil)))
				if err != nil {
					t.Fatal(err)
				}
				wantCode(t, v, raw, "")
			}
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "jwks", "*.json"))
	if err != nil || len(files) != 17 {
		t.Errorf("testdata/jwks has %d files (%v); each needs a line here", len(files), err)
	}
}

// TestEmptyMembersOfAKeyAreAbsent: each member that RFC 7517 and 7518 know, one
// at a time, on each type of key; none makes a key private, for another purpose
// or of another algorithm.
func TestEmptyMembersOfAKeyAreAbsent(t *testing.T) {
	t.Parallel()
	keys := jwksOf(t, provider(t, nil, "RS256", "ES256", "EdDSA"))
	for _, name := range []string{
		"use", "key_ops", "alg", "kid", "x5u", "x5c", "x5t", "x5t#S256", "d", "p", "q", "dp", "dq", "qi", "oth", "k", "ext", "exp", "nbf", "iat",
	} {
		for _, key := range keys {
			for _, empty := range []any{nil, "", []any{}, map[string]any{}} {
				key[name] = empty
				usable, dropped, err := identity.ReadKeySet(setFrom(t, key))
				if usable != 1 || len(dropped) != 0 || err != nil {
					t.Errorf("%s with %q: %#v is dropped: %q, %v", key["kty"], name, empty, dropped, err)
				}
			}
			delete(key, name)
		}
	}
}

// TestEd25519IsEdDSA (RFC 9864): in the key, in the token's header and in the
// pinned algorithms, in any mixture; and no other algorithm's key is reached by it.
func TestEd25519IsEdDSA(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "EdDSA")
	ec := provider(t, noon, "ES256")
	for _, inKey := range []string{"EdDSA", "Ed25519", ""} {
		key := jwksOf(t, p)[0]
		key["alg"] = inKey
		for _, pinned := range []string{"EdDSA", "Ed25519"} {
			i := trust(prod)
			i.Algorithms = []string{pinned}
			body := setFrom(t, key, jwksOf(t, ec)[0])
			v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: garbage(string(body))}}, i)
			for _, inHeader := range []string{"EdDSA", "Ed25519"} {
				wantCode(t, v, compact(t, p, `{"alg":"`+inHeader+`","kid":"eddsa-1"}`, payload(t, nil)), "")
			}
			for _, other := range []string{"ed25519", "Ed448", "ES256"} {
				wantCode(t, v, compact(t, p, `{"alg":"`+other+`","kid":"eddsa-1"}`, payload(t, nil)), invalid)
			}
			wantCode(t, v, compact(t, ec, `{"alg":"Ed25519","kid":"es256-1"}`, payload(t, nil)), invalid)
		}
	}
}

// TestWhatIsServedInsteadOfAKeySet is named, with the URL that was probably
// meant where it is known.
func TestWhatIsServedInsteadOfAKeySet(t *testing.T) {
	t.Parallel()
	const pem = `"-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"`
	for name, c := range map[string]struct{ url, body, want string }{
		"Firebase's certificates": {
			"https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com",
			`{"8e8f": ` + pem + `, "91ab": ` + pem + `}`,
			`"https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"`,
		},
		"Google's certificates": {"https://www.googleapis.com/oauth2/v1/certs", `{"8e8f": ` + pem + `}`, `"https://www.googleapis.com/oauth2/v3/certs"`},
		"other certificates":    {"", `{"8e8f": ` + pem + `}`, "map of PEM certificates"},
		"discovery": {
			"https://idp.acme.example/.well-known/openid-configuration",
			`{"issuer":"https://idp.acme.example","jwks_uri":"https://idp.acme.example/keys?key=s3cret"}`,
			`discovery document, not its key set; jwks_url is probably meant to be "https://idp.acme.example/keys"`,
		},
		"discovery that names a hostile URL": {"", `{"jwks_uri":"https://x@169.254.169.254/\u001b[31m"}`, "the URL that it names as jwks_uri"},
		"discovery that names a long URL":    {"", `{"jwks_uri":"https://idp.example/` + strings.Repeat("a", 300) + `"}`, "the URL that it names as jwks_uri"},
		"a page":                             {"", "\n<!DOCTYPE html><html>", "HTML"},
		"SAML's metadata":                    {"", `<?xml version="1.0"?><EntityDescriptor/>`, "SAML"},
		"a PEM key, as AWS's load balancers": {
			"https://public-keys.auth.elb.eu-west-1.amazonaws.com/kid",
			"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n", `"PUBLIC KEY" in PEM`,
		},
		"broken PEM":       {"", "-----BEGIN PUBLIC KEY-----", "PEM"},
		"one key":          {"", `{"kty":"RSA","n":"AQAB","e":"AQAB"}`, `{"keys":[…]}`},
		"an array of keys": {"", `[{"kty":"RSA","n":"AQAB","e":"AQAB"}]`, `{"keys":[…]}`},
		"UTF-16":           {"", "\xff\xfe{\x00}\x00", "UTF-16"},
		"a gzip file":      {"", "\x1f\x8b\x08", "gzip"},
		"nothing":          {"", " \n", "empty"},
		"another object":   {"", `{"error":"not_found"}`, "no array named keys"},
		"cut off":          {"", `{"keys":[{"kty":"RSA"`, "unexpected end"},
	} {
		err := identity.ParseKeys([]byte(c.body), c.url)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") || len(err.Error()) > 500 {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestURLsThatAreKnownToServeSomethingElse(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://idp.example/.well-known/openid-configuration":                                       "discovery document",
		"https://idp.example/realms/x/.well-known/openid-configuration/":                             "discovery document",
		"https://idp.example/.well-known/oauth-authorization-server/tenant":                          "discovery document",
		"https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com":   "/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
		"https://www.googleapis.com/identitytoolkit/v3/relyingparty/publicKeys":                      "sessionCookiePublicKeys",
		"https://www.gstatic.com/iap/verify/public_key":                                              "public_key-jwk",
		"https://www.gstatic.com/iap/verify/public_key-jwk":                                          "",
		"https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com":  "",
		"https://idp.example/.well-known/jwks.json":                                                  "",
		"https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/discovery/v2.0/keys": "",
		"://": "",
	} {
		if got := identity.Misdirected(url); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("Misdirected(%s) = %q, want %q", url, got, want)
		}
	}
}

func gzipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func deflated(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCompressedKeySets are decoded, asked for or not; the bound is that of the
// decoded document.
func TestCompressedKeySets(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	raw := sign(t, p, nil)
	set, err := p.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	padded := func(size int) []byte { return append(bytes.Repeat([]byte(" "), size-len(set)), set...) }
	zlibbed := deflated(t, set)
	for name, c := range map[string]struct {
		coding string
		body   []byte
		want   string // in the log; "" is accepted
	}{
		"gzip":                        {"gzip", gzipped(t, set), ""},
		"gzip in capitals":            {" GZIP ", gzipped(t, set), ""},
		"x-gzip":                      {"x-gzip", gzipped(t, set), ""},
		"gzip that no header tells":   {"", gzipped(t, set), ""},
		"gzip that only the header…":  {"gzip", set, ""},
		"gzip around a BOM":           {"gzip", gzipped(t, append([]byte("\ufeff"), set...)), ""},
		"deflate":                     {"deflate", zlibbed, ""},
		"deflate without zlib":        {"deflate", zlibbed[2 : len(zlibbed)-4], ""},
		"identity":                    {"identity", set, ""},
		"a BOM":                       {"", append([]byte("\ufeff"), set...), ""},
		"gzip of just a mebibyte":     {"gzip", gzipped(t, padded(identity.MaxKeySet)), ""},
		"gzip of more than that":      {"gzip", gzipped(t, padded(identity.MaxKeySet+1)), "larger than"},
		"a gzip bomb":                 {"gzip", gzipped(t, padded(8*identity.MaxKeySet)), "larger than"},
		"a deflate bomb":              {"deflate", deflated(t, padded(8*identity.MaxKeySet)), "larger than"},
		"members of gzip without end": {"gzip", bytes.Repeat(gzipped(t, nil), 1<<16), "EOF"},
		"gzip that is cut off":        {"gzip", gzipped(t, set)[:40], "EOF"},
		"brotli":                      {"br", set, `content coding "br" is not supported`},
		"two codings":                 {"gzip, gzip", gzipped(t, gzipped(t, set)), "not supported"},
		"gzip within gzip":            {"gzip", gzipped(t, gzipped(t, set)), "gzip"},
		"a hostile coding":            {strings.Repeat("x", 5000), set, "not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, log := fetch(t, raw, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Accept-Encoding"); got != "gzip" {
					t.Errorf("Accept-Encoding %q, want gzip", got)
				}
				if c.coding != "" {
					w.Header().Set("Content-Encoding", c.coding)
				}
				w.Write(c.body)
			})).URL)
			if (code == "") != (c.want == "") || !strings.Contains(log, strings.ReplaceAll(c.want, `"`, `\"`)) || len(log) > 2000 {
				t.Errorf("%q, want %q in the log: %.2000s", code, c.want, log)
			}
		})
	}
}

// TestKeySetFileWithABOM, as Windows' editors write it.
func TestKeySetFileWithABOM(t *testing.T) {
	t.Parallel()
	p := provider(t, noon)
	set, err := p.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	i := trust(prod)
	i.JWKSURL, i.JWKSFile = "", filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(i.JWKSFile, append([]byte("\ufeff"), set...), 0o600); err != nil {
		t.Fatal(err)
	}
	wantCode(t, start(t, identity.Config{Now: noon}, i), sign(t, p, nil), "")
	if usable, _, err := identity.ReadKeySet(fmt.Appendf(nil, "\ufeff%s", set)); usable != 1 || err != nil {
		t.Errorf("ReadKeySet() = %d, %v", usable, err)
	}
}

// TestCoordinatesWithoutLeadingZeros: RFC 7518 §6.2.1.2 wants them whole, some
// libraries write them as numbers.
func TestCoordinatesWithoutLeadingZeros(t *testing.T) {
	t.Parallel()
	for {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if point[1] != 0 {
			continue // one in 256 will do
		}
		p := provider(t, noon)
		p.Adopt("short", "ES256", key)
		jwk := map[string]any{
			"kty": "EC", "crv": "P-256", "kid": "short", "x": encode(bytes.TrimLeft(point[1:33], "\x00")), "y": encode(point[33:]),
		}
		v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: garbage(string(setFrom(t, jwk)))}}, trust(prod))
		raw, err := p.TokenWith("short", claims(nil))
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, v, raw, "")
		return
	}
}
