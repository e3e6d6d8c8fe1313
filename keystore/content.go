package keystore

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// content is what DER holds, whatever label it stands under.
type content int

const (
	unknownContent     content = iota
	rsaPKCS1                   // RFC 8017 A.1.2
	anyPKCS8                   // RFC 5208 §5
	encryptedPKCS8             // RFC 5208 §6
	ecSEC1                     // RFC 5915 §3
	dsaPrivate                 // as openssl writes it
	publicKey                  // RFC 5280 §4.1.2.7, RFC 8017 A.1.1
	certificate                // RFC 5280 §4.1
	certificateRequest         // RFC 2986 §4
	pkcs7                      // RFC 5652 §3
)

// What to do where the key is not here or of the wrong kind.
const (
	wantPrivate = "want the private key, which Mux shows once, when the signing key is made (playgate keys create makes a new one)"
	wantRSA     = "want an RSA key, because Mux's tokens are RS256 (playgate keys create makes one at Mux)"
	recopy      = "copy the whole key again"
)

// contentOf looks at the outermost elements of DER.
func contentOf(der []byte) content {
	members := elements(der)
	if len(members) < 2 {
		return unknownContent
	}
	first, second := members[0].Tag, members[1].Tag
	switch {
	case first == asn1.TagSequence && second == asn1.TagOctetString:
		return encryptedPKCS8
	case first == asn1.TagSequence && second == asn1.TagBitString:
		return publicKey
	case first == asn1.TagSequence && second == asn1.TagSequence && len(members) == 3:
		return signedContent(der, members[0])
	case first == asn1.TagOID && members[1].Class == asn1.ClassContextSpecific:
		return pkcs7
	case first != asn1.TagInteger:
		return unknownContent
	case second == asn1.TagSequence && len(members) > 2 && members[2].Tag == asn1.TagOctetString:
		return anyPKCS8
	case second == asn1.TagOctetString:
		return ecSEC1
	}
	return integerContent(members)
}

// elements returns the members of a DER sequence; none if it is not one.
func elements(der []byte) []asn1.RawValue {
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(der, &outer); err != nil || outer.Tag != asn1.TagSequence || !outer.IsCompound {
		return nil
	}
	var members []asn1.RawValue
	for rest := outer.Bytes; len(rest) > 0; {
		var member asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &member); err != nil {
			return nil
		}
		members = append(members, member)
	}
	return members
}

// signedContent tells what X.509 has signed: its first member is what is signed.
func signedContent(der []byte, signed asn1.RawValue) content {
	if _, err := x509.ParseCertificateRequest(der); err == nil {
		return certificateRequest
	}
	members := elements(signed.FullBytes)
	if len(members) > 5 { // version, serial, algorithm, issuer, validity, subject, key
		return certificate
	}
	return unknownContent
}

// integerContent tells what a sequence that begins with two integers is.
func integerContent(members []asn1.RawValue) content {
	integers := 0
	for integers < len(members) && members[integers].Tag == asn1.TagInteger {
		integers++
	}
	switch {
	case integers >= 9:
		return rsaPKCS1
	case integers == 6 && len(members) == 6:
		return dsaPrivate
	case integers != 2 || len(members) != 2:
		return unknownContent
	}
	exponent := new(big.Int).SetBytes(members[1].Bytes)
	if len(members[0].Bytes) >= 512/8 && exponent.Bit(0) == 1 && exponent.Cmp(big.NewInt(1)) > 0 {
		return publicKey
	}
	return unknownContent
}

// otherContent is the error for content that is no private key, or none that
// can sign; nil for what may be one. what begins the sentence: "is", or "is DER of".
func otherContent(c content, what string) error {
	switch c {
	case certificate:
		return fmt.Errorf("%s a certificate; %s", what, wantPrivate)
	case certificateRequest:
		return fmt.Errorf("%s a certificate request; %s", what, wantPrivate)
	case pkcs7:
		return fmt.Errorf("%s a PKCS#7 bundle of certificates; %s", what, wantPrivate)
	case publicKey:
		return fmt.Errorf("%s a public key; %s", what, wantPrivate)
	case ecSEC1:
		return fmt.Errorf("%s an EC private key; %s", what, wantRSA)
	case dsaPrivate:
		return fmt.Errorf("%s a DSA private key; %s", what, wantRSA)
	case unknownContent, rsaPKCS1, anyPKCS8, encryptedPKCS8:
	}
	return nil
}

// byLabel is the error for a label that no RSA private key has, where the
// content did not say what it is; nil for a label that one may have.
func byLabel(label string) error {
	switch label {
	case labelPKCS1, labelPKCS8:
		return nil
	case labelEncrypted:
		return errEncrypted
	case "PUBLIC KEY", "RSA PUBLIC KEY", "SSH2 PUBLIC KEY":
		return otherContent(publicKey, "is")
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		return otherContent(certificate, "is")
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return otherContent(certificateRequest, "is")
	case "PKCS7", "CMS":
		return otherContent(pkcs7, "is")
	case "EC PRIVATE KEY", "EC PARAMETERS":
		return otherContent(ecSEC1, "is")
	case "DSA PRIVATE KEY":
		return otherContent(dsaPrivate, "is")
	case "OPENSSH PRIVATE KEY":
		return errors.New("is an OpenSSH key; convert it with: ssh-keygen -p -m PEM -f KEY")
	}
	return fmt.Errorf("is PEM of type %.40q; want %s or %s", label, labelPKCS1, labelPKCS8)
}

// relabel says how a key under the wrong label is mended.
func relabel(holds, label, right string) error {
	return fmt.Errorf("holds %s under the label %.40q; write %s in its BEGIN line and in its END line", holds, label, right)
}

// unwrapPKCS8 returns the PKCS#1 DER inside PKCS#8. x509.ParsePKCS8PrivateKey
// would accept trailing data; it serves here to name what is not RSA.
func unwrapPKCS8(der []byte) ([]byte, error) {
	var outer struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	rest, err := asn1.Unmarshal(der, &outer)
	if err != nil {
		return nil, errors.New("is truncated, or not a PKCS#8 private key, as its label says; " + recopy)
	}
	if len(rest) > 0 {
		return nil, errors.New("has data after the key")
	}
	const rsaEncryption, rsaPSS = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10" // RFC 8017 C
	switch outer.Algorithm.Algorithm.String() {
	case rsaEncryption:
		return outer.PrivateKey, nil
	case rsaPSS:
		return nil, errors.New("is an RSA-PSS private key, which must not sign RS256; " + wantRSA)
	}
	kind := "a private key of algorithm " + outer.Algorithm.Algorithm.String()
	switch key, _ := x509.ParsePKCS8PrivateKey(der); key.(type) {
	case *ecdsa.PrivateKey:
		kind = "an EC private key"
	case ed25519.PrivateKey:
		kind = "an Ed25519 private key"
	case *ecdh.PrivateKey:
		kind = "an X25519 private key"
	}
	return nil, fmt.Errorf("is %s; %s", kind, wantRSA)
}

// noArmor is the error for text that is neither PEM nor base64.
func noArmor(text string) error {
	for _, start := range [...]string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "---- BEGIN SSH2 PUBLIC KEY"} {
		if strings.HasPrefix(text, start) {
			return otherContent(publicKey, "is an OpenSSH line, that is")
		}
	}
	switch {
	case strings.HasPrefix(text, "{"):
		return errors.New("is JSON; want PEM, or base64 of PEM: of an answer of Mux, the value of private_key alone")
	case strings.HasPrefix(text, "PuTTY-User-Key-File"):
		return errors.New("is a PuTTY key; convert it with: puttygen KEY -O private-openssh, then ssh-keygen -p -m PEM -f KEY")
	}
	return errors.New("is neither PEM nor base64 of PEM")
}

// bareDER is the error for DER without PEM around it, read with this command.
func bareDER(der []byte, what, command string) error {
	if err := otherContent(contentOf(der), what+", that is"); err != nil {
		return err
	}
	return fmt.Errorf("%s; want PEM, or base64 of PEM: convert it with: %s", what, command)
}
