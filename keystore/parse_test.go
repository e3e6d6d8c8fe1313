package keystore_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
)

func TestParseAcceptsWhatOperatorsHave(t *testing.T) {
	t.Parallel()
	pkcs1, pkcs8 := string(keystoretest.PEM(t, 1)), string(keystoretest.PKCS8(t, 1))
	b64 := string(keystoretest.Base64(t, 1))
	for name, material := range map[string]string{
		"PKCS#1 PEM":                    pkcs1,
		"PKCS#8 PEM":                    pkcs8,
		"no line break at the end":      strings.TrimSpace(pkcs1),
		"white space around":            "\n\t " + pkcs8 + " \n\n",
		"base64 of PKCS#1, as from Mux": b64,
		"base64 of PKCS#8":              base64.StdEncoding.EncodeToString([]byte(pkcs8)),
		"base64 with a line break":      b64 + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, repairs, err := keystore.Parse([]byte(material))
			if err != nil || len(repairs) > 0 {
				t.Fatalf("Parse = %v, repaired %q", err, repairs)
			}
			if !got.Equal(keystoretest.Private(t, 1)) {
				t.Error("Parse gave another key")
			}
			if got.Precomputed.Dp == nil || got.Validate() != nil {
				t.Error("the key is not precomputed or not valid")
			}
		})
	}
}

func TestParseAcceptsSizes(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{keystore.MinBits, 3072, 4096} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := keystore.Parse(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))); err != nil {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func TestParseRefusesWithAReason(t *testing.T) {
	t.Parallel()
	good := keystoretest.Private(t, 1)
	pkcs1, pkcs8 := keystoretest.PEM(t, 1), keystoretest.PKCS8(t, 1)
	pkcs1DER, pkcs8DER := x509.MarshalPKCS1PrivateKey(good), decode(t, pkcs8)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecSEC1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&good.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	legacy, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", pkcs1DER, []byte("x"), x509.PEMCipherAES256) //nolint:staticcheck // what is to be refused
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString

	for _, c := range []struct {
		name     string
		material []byte
		reason   string
	}{
		{"empty", nil, "is empty"},
		{"white space", []byte(" \n"), "is empty"},
		{"something else", []byte("hunter2!"), "neither PEM nor base64"},
		{"base64 of something else", []byte(b64([]byte("hunter2hunter2"))), "is base64, but not of PEM"},
		{"1024 bits", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(smallKey(t, 1024))), "1024 bits"},
		{"1024 bits in PKCS#8", block("PRIVATE KEY", marshalPKCS8(t, smallKey(t, 1024))), "1024 bits"},
		{"2047 bits", withNumbers(t, func(n *numbers) { n.N = new(big.Int).Rsh(n.N, 1) }), "2047 bits"},
		{"8193 bits", withNumbers(t, func(n *numbers) { n.N = new(big.Int).Lsh(n.N, 8193-2048) }), "8193 bits"},
		{"negative modulus", withNumbers(t, func(n *numbers) { n.N = new(big.Int).Neg(n.N) }), "bits"},
		{"a prime that is none", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(halfKey(t))), "primes is none"},
		{"EC", block("PRIVATE KEY", marshalPKCS8(t, ec)), "is an EC private key; want an RSA key"},
		{"EC, SEC 1", block("EC PRIVATE KEY", ecSEC1), "is an EC private key; want an RSA key"},
		{"EC, as openssl ecparam writes it", append(block("EC PARAMETERS", []byte{6, 0}), block("EC PRIVATE KEY", ecSEC1)...), "is an EC private key; want an RSA key"},
		{"Ed25519", block("PRIVATE KEY", marshalPKCS8(t, ed)), "is an Ed25519 private key; want an RSA key"},
		{"X25519", block("PRIVATE KEY", marshalPKCS8(t, x25519(t))), "is an X25519 private key; want an RSA key"},
		{"OpenSSH", block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1")), "OpenSSH"},
		{"public key", block("PUBLIC KEY", public), "public key"},
		{"PKCS#1 public key", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&good.PublicKey)), "public key"},
		{"base64 of a public key", []byte(b64(block("PUBLIC KEY", public))), "public key"},
		{"certificate", block("CERTIFICATE", []byte{0x30, 0}), "certificate"},
		{"unknown type", block("SECRET SAUCE", []byte{0x30, 0}), `type "SECRET SAUCE"`},
		{"encrypted, legacy", pem.EncodeToMemory(legacy), "encrypted"},
		{"encrypted, PKCS#8", block("ENCRYPTED PRIVATE KEY", encrypted(t)), "encrypted; remove the passphrase: openssl rsa"},
		{"encrypted, damaged", block("ENCRYPTED PRIVATE KEY", []byte{0x30, 0}), "encrypted; remove the passphrase: openssl rsa"},
		{"truncated PEM", pkcs1[:len(pkcs1)/2], "truncated"},
		{"truncated base64 of PEM", []byte(b64(pkcs1)[:800]), "truncated"},
		{"truncated DER", block("RSA PRIVATE KEY", pkcs1DER[:len(pkcs1DER)-5]), "truncated"},
		{"truncated PKCS#8", block("PRIVATE KEY", pkcs8DER[:len(pkcs8DER)-5]), "truncated"},
		{"damaged line", bytes.Replace(pkcs1, []byte("\n"), []byte("\n!"), 2), "truncated or damaged"},
		{"base64 of base64", []byte(b64([]byte(b64(pkcs1)))), "base64 of base64"},
		{"DER", pkcs1DER, "is DER"},
		{"base64 of DER", []byte(b64(pkcs1DER)), "not of PEM"},
		{"two keys", append(bytes.Clone(pkcs1), keystoretest.PEM(t, 2)...), "2 PEM blocks"},
		{"key and certificate", append(bytes.Clone(pkcs1), block("CERTIFICATE", []byte{0x30, 0})...), "2 PEM blocks"},
		{"text after", append(bytes.Clone(pkcs1), "garbage"...), "text after"},
		{"text before", append([]byte("garbage\n"), pkcs1...), "text before"},
		{"data after, PKCS#1", block("RSA PRIVATE KEY", append(bytes.Clone(pkcs1DER), 1)), "data after"},
		{"data after, PKCS#8", block("PRIVATE KEY", append(bytes.Clone(pkcs8DER), 1)), "data after"},
		{"multi-prime", withNumbers(t, func(n *numbers) { n.Version = 1 }), "multi-prime"},
		{"e = 3", withNumbers(t, func(n *numbers) { n.E = big.NewInt(3) }), "exponent"},
		{"e = 1", withNumbers(t, func(n *numbers) { n.E = big.NewInt(1) }), "exponent"},
		{"e even", withNumbers(t, func(n *numbers) { n.E = big.NewInt(65538) }), "exponent"},
		{"e negative", withNumbers(t, func(n *numbers) { n.E = big.NewInt(-65537) }), "exponent"},
		{"e = 2^31+1", withNumbers(t, func(n *numbers) { n.E = big.NewInt(1<<31 + 1) }), "exponent"},
		{"e of 100 bits", withNumbers(t, func(n *numbers) { n.E.Lsh(n.E, 83).Add(n.E, big.NewInt(1)) }), "exponent"},
		{"d does not fit", withNumbers(t, func(n *numbers) { n.D.Add(n.D, big.NewInt(2)) }), "broken"},
		{"p does not divide n", withNumbers(t, func(n *numbers) { n.P.Add(n.P, big.NewInt(2)) }), "broken"},
		{"dp does not fit", withNumbers(t, func(n *numbers) { n.Dp.Add(n.Dp, big.NewInt(2)) }), "broken"},
		{"dq does not fit", withNumbers(t, func(n *numbers) { n.Dq.Add(n.Dq, big.NewInt(2)) }), "broken"},
		{"qinv does not fit", withNumbers(t, func(n *numbers) { n.Qinv.Add(n.Qinv, big.NewInt(2)) }), "broken"},
		{"zero prime", withNumbers(t, func(n *numbers) { n.P = big.NewInt(0) }), "broken"},
		{"larger than any key", bytes.Repeat([]byte(" "), keystore.MaxMaterial+1), "larger than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := keystore.Parse(c.material)
			if err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Fatalf("Parse = %v, want %q", err, c.reason)
			}
			quotesNothing(t, c.material, err)
		})
	}
}

// quotesNothing checks that an error holds no run of the material's text.
func quotesNothing(t *testing.T, material []byte, err error) {
	t.Helper()
	const run = 20
	text := err.Error()
	for i := 0; i+run <= len(material); i++ {
		piece := string(material[i : i+run])
		if strings.Contains(text, piece) && !strings.Contains(piece, "PRIVATE KEY") {
			t.Fatalf("the error quotes the material: %q in %q", piece, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for n := 1; n <= 2; n++ {
		f.Add(keystoretest.PEM(f, n))
		f.Add(keystoretest.Base64(f, n))
		f.Add(keystoretest.PKCS8(f, n))
	}
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, material []byte) {
		key, repairs, err := keystore.Parse(material)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if text := keystore.Repaired(repairs); len(text) > 1000 {
			t.Errorf("repairs of %d bytes", len(text))
		}
		stored, _, err := keystore.WellFormed(material)
		if err != nil {
			t.Error(err)
		}
		if same, more, err := keystore.Parse(stored); err != nil || len(more) > 0 || !same.Equal(key) {
			t.Errorf("what is well-formed is read with %v, %q", err, more)
		}
		if bits := key.N.BitLen(); bits < keystore.MinBits || bits > keystore.MaxBits || key.E < 65537 || key.E%2 == 0 {
			t.Errorf("accepted %d bits, e = %d", bits, key.E)
		}
		if err := key.Validate(); err != nil {
			t.Error(err)
		}
		again, _, err := keystore.Parse(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)))
		if err != nil || !again.Equal(key) {
			t.Errorf("written out and parsed again: %v", err)
		}
	})
}

// numbers is RFC 8017's RSAPrivateKey.
type numbers struct {
	Version            int
	N, E, D            *big.Int
	P, Q, Dp, Dq, Qinv *big.Int
}

// withNumbers returns test key 1 as PEM after edit had its way with it.
func withNumbers(t *testing.T, edit func(*numbers)) []byte {
	t.Helper()
	var n numbers
	if _, err := asn1.Unmarshal(decode(t, keystoretest.PEM(t, 1)), &n); err != nil {
		t.Fatal(err)
	}
	edit(&n)
	der, err := asn1.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return block("RSA PRIVATE KEY", der)
}

func smallKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func marshalPKCS8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func decode(t *testing.T, text []byte) []byte {
	t.Helper()
	b, _ := pem.Decode(text)
	if b == nil {
		t.Fatal("no PEM")
	}
	return b.Bytes
}

func block(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

func wrap(text, end string) string {
	var lines []string
	for len(text) > 76 {
		lines, text = append(lines, text[:76]), text[76:]
	}
	return strings.Join(append(lines, text), end)
}

func x25519(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// halfKey is a key of which one prime is the product of two; crypto/rsa takes it.
func halfKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	read := func(hex string) *big.Int {
		n, ok := new(big.Int).SetString(hex, 16)
		if !ok {
			t.Fatal("not hexadecimal")
		}
		return n
	}
	b := read("ab20a49776ac4f95910d074cff92ddf3bb7202d9ec1a290155efaccd5e224ba1ba9dadd7fdd129af617f0a26d09db9da63307996b86de0b4250bfd6ecb4abd91")
	q := read("cbca87eabfb13933243fe0492478775dc4b7e5500efe14ca926e186443f41a4039ef07bd835bf1eef7b5456fa316298a7a32ff17681c9ad772895b6b67f1d9c3" +
		"19c2feeb1af9f4c3be0e0eb3df27c4d51a640011556b347e6bcd0763c1c89db03a9cf80e4aa89ff0bd03107c277bff139facf4da7d28828ede334e9237d9c20d")
	one, e := big.NewInt(1), big.NewInt(65537)
	p := new(big.Int).Mul(b, new(big.Int).Sub(new(big.Int).Lsh(b, 1), one))
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	return key
}
