package configs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"strings"
	"testing"

	"github.com/playgate/playgate/configs"
)

const home = "/etc/playgate"

// files are what lies on the disk of a test, by absolute path.
type files map[string]string

func (f files) read(path string) ([]byte, error) {
	text, ok := f[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

// load loads a document that lies in /etc/playgate, with other files around it.
func load(text string, around files, environ ...string) (*configs.Loaded, error) {
	return configs.Source{
		Path: home + "/playgate.yaml", Data: []byte(text), Environ: environ, ReadFile: around.read,
	}.Load()
}

func mustLoad(t *testing.T, text string, around files, environ ...string) *configs.Loaded {
	t.Helper()
	loaded, err := load(text, around, environ...)
	if err != nil {
		t.Fatalf("loading:\n%s\n%v", text, err)
	}
	return loaded
}

// problemsOf returns what is wrong with a document.
func problemsOf(t *testing.T, text string, around files, environ ...string) configs.Problems {
	t.Helper()
	loaded, err := load(text, around, environ...)
	if err == nil {
		return nil
	}
	var problems configs.Problems
	if !errors.As(err, &problems) || len(problems) == 0 || loaded != nil {
		t.Fatalf("loading:\n%s\ngives %v and %T %v, want only configs.Problems", text, loaded, err, err)
	}
	return problems
}

// refused checks that a document has one problem, at the path, whose message
// holds some words.
func refused(t *testing.T, text, path, words string, around files, environ ...string) {
	t.Helper()
	problems := problemsOf(t, text, around, environ...)
	if len(problems) != 1 || problems[0].Path != path || !strings.Contains(problems[0].Message, words) {
		t.Errorf("loading:\n%s\ngives %q, want one problem at %s that says %q", text, problems, path, words)
	}
}

const hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

// environment is a document with one environment that has the given members,
// each on a line of its own, besides an ID.
func environment(members string) string {
	return "organizations:\n  - id: acme\n    environments:\n      - id: acme-prod\n        " +
		strings.ReplaceAll(strings.TrimSpace(members), "\n", "\n        ") + "\n"
}

const inEnvironment = "organizations[0].environments[0]."

// theEnvironment returns the environment of a document made by environment.
func theEnvironment(t *testing.T, members string, around files) *configs.Environment {
	t.Helper()
	return &mustLoad(t, environment(members), around).Config.Organizations[0].Environments[0]
}

// viewer is one entry of viewers, without what a test replaces.
func viewer(members string) string {
	return "viewers: [{issuer: https://idp.example, jwks_url: https://idp.example/jwks.json, algorithms: [RS256], " + members + "}]"
}

// keyPair makes a self-signed certificate and its key, in PEM.
func keyPair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}
