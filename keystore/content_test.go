package keystore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
)

// encrypted is the form of an encrypted PKCS#8 key.
func encrypted(t *testing.T) []byte {
	t.Helper()
	return marshalASN1(t, struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}}, make([]byte, 1200)})
}

func marshalASN1(t *testing.T, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// contents is DER of what is mistaken for a private key, with how Parse calls it.
func contents(t *testing.T) map[string][]byte {
	t.Helper()
	private := keystoretest.Private(t, 1)
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1800000000, 0)}
	issued, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := decode(t, keystoretest.PKCS8(t, 1))
	bundle := marshalASN1(t, struct {
		Type asn1.ObjectIdentifier
		Data asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: []byte{0x30, 0}}})
	dsa := marshalASN1(t, []*big.Int{big.NewInt(0), big.NewInt(23), big.NewInt(11), big.NewInt(2), big.NewInt(8), big.NewInt(3)})
	pss := strings.Replace(string(pkcs8), "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", 1)
	return map[string][]byte{
		"is a certificate; want the private key":         issued,
		"is a certificate request; want the private key": request,
		"is a PKCS#7 bundle of certificates; want the":   bundle,
		"is a public key; want the private key":          public,
		"is a public key; want the private key, ":        x509.MarshalPKCS1PublicKey(&private.PublicKey),
		"is an EC private key; want an RSA key":          sec1,
		"is an EC private key; want an RSA key, ":        marshalPKCS8(t, ec),
		"is a DSA private key; want an RSA key":          dsa,
		"is an RSA-PSS private key, which must not sign": []byte(pss),
	}
}

// goText is what only Go's own packages write.
var goText = regexp.MustCompile(`asn1:|x509:|crypto/|tags don't match|%!|optional:`)

// TestParseSaysWhatStandsUnderTheWrongLabel: what a PEM block holds counts,
// before what its label says; an operator reads what was found, what is wanted
// and what to do.
func TestParseSaysWhatStandsUnderTheWrongLabel(t *testing.T) {
	t.Parallel()
	for want, der := range contents(t) {
		for _, label := range []string{"RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "CERTIFICATE", "PUBLIC KEY", "OPENSSH PRIVATE KEY", "SECRET SAUCE"} {
			_, _, err := keystore.Parse(block(label, der))
			if err == nil || !strings.HasPrefix(err.Error(), want) || goText.MatchString(err.Error()) {
				t.Errorf("under %s: %v, want %s", label, err, want)
			}
		}
	}
}

// TestParseSaysHowALabelIsMended: a key that would do under its own label.
func TestParseSaysHowALabelIsMended(t *testing.T) {
	t.Parallel()
	pkcs1, pkcs8 := decode(t, keystoretest.PEM(t, 1)), decode(t, keystoretest.PKCS8(t, 1))
	for _, c := range []struct {
		label string
		der   []byte
		want  string
	}{
		{"PRIVATE KEY", pkcs1, `holds a PKCS#1 RSA private key under the label "PRIVATE KEY"; write RSA PRIVATE KEY in its BEGIN line and in its END line`},
		{"CERTIFICATE", pkcs1, `holds a PKCS#1 RSA private key under the label "CERTIFICATE"; write RSA PRIVATE KEY in its BEGIN line and in its END line`},
		{"RSA PRIVATE KEY", pkcs8, `holds a PKCS#8 private key under the label "RSA PRIVATE KEY"; write PRIVATE KEY in its BEGIN line and in its END line`},
		{"ENCRYPTED PRIVATE KEY", pkcs8, `holds a PKCS#8 private key under the label "ENCRYPTED PRIVATE KEY"; write PRIVATE KEY in its BEGIN line and in its END line`},
		{
			"RSA PRIVATE KEY", encrypted(t), `holds an encrypted key under the label "RSA PRIVATE KEY"; ` +
				"write ENCRYPTED PRIVATE KEY in its BEGIN line and in its END line; then remove the passphrase: openssl rsa -in KEY -out PLAIN",
		},
		{"RSA PRIVATE KEY", []byte{0x30, 0x82, 1}, "is truncated or not an RSA private key; copy the whole key again"},
		{"PRIVATE KEY", []byte{0x30, 0x82, 1}, "is truncated, or not a PKCS#8 private key, as its label says; copy the whole key again"},
	} {
		if _, _, err := keystore.Parse(block(c.label, c.der)); err == nil || err.Error() != c.want {
			t.Errorf("under %s: %v\nwant %s", c.label, err, c.want)
		}
	}
}

// TestParseSaysWhatComesWithoutPEM: the same without a label.
func TestParseSaysWhatComesWithoutPEM(t *testing.T) {
	t.Parallel()
	for want, der := range contents(t) {
		kind, isKey := strings.CutPrefix(want, "is ")
		if strings.Contains(want, ", ") && isKey {
			continue // PKCS#8 and PKCS#1 public keys, of which the first look says less
		}
		for start, material := range map[string]string{
			"is DER, that is ": string(der), "is base64 of DER, not of PEM, that is ": base64.StdEncoding.EncodeToString(der),
		} {
			if _, _, err := keystore.Parse([]byte(material)); err == nil || !strings.HasPrefix(err.Error(), start+kind) {
				t.Errorf("%v\nwant %s%s", err, start, kind)
			}
		}
	}
	pkcs1 := decode(t, keystoretest.PEM(t, 1))
	for material, want := range map[string]string{
		"ssh-rsa AAAAB3NzaC1yc2E a@b":            "is an OpenSSH line, that is a public key; want the private key",
		`{"data":{"private_key":"LS0t"}}`:        "is JSON; want PEM, or base64 of PEM: of an answer of Mux, the value of private_key alone",
		"PuTTY-User-Key-File-3: ssh-rsa\n":       "is a PuTTY key; convert it with: ",
		string(pkcs1):                            "is DER; want PEM, or base64 of PEM: convert it with: openssl rsa -inform DER",
		base64.StdEncoding.EncodeToString(pkcs1): "is base64 of DER, not of PEM; want PEM, or base64 of PEM: convert it with: base64 -d KEY | openssl rsa -inform DER",
	} {
		if _, _, err := keystore.Parse([]byte(material)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}
