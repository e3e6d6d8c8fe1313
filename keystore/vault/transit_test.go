package vault_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/keystore/vault"
	"github.com/playgate/playgate/keystore/vault/vaulttest"
	"github.com/playgate/playgate/playback"
)

// transitRig is a rig in mode transit, with the policy of deploy/vault, beside
// a source that may do everything.
type transitRig struct {
	*rig
	admin *vault.Source
}

func (p *prefixes) transit(t *testing.T, edit func(*rig)) *transitRig {
	t.Helper()
	r := &transitRig{}
	r.rig = p.rig(t, func(r *rig) {
		r.config.Mode = vault.TransitMode
		r.server.Policy(r.prefix, vaulttest.Rules(t, "gateway-transit", "secret", r.prefix))
		r.useToken(&api.TokenCreateRequest{Policies: []string{r.prefix}, NoDefaultPolicy: true})
		if edit != nil {
			edit(r)
		}
	})
	config := r.config
	config.Address = r.server.Address
	config.Auth = vault.Auth{Method: vault.TokenMethod, TokenFile: r.server.File(r.prefix+"-root", r.server.RootToken)}
	admin, err := vault.New(config)
	r.check(err)
	t.Cleanup(func() { _ = admin.Close() })
	r.admin = admin
	return r
}

// give stores a test key in transit and its state beside it.
func (r *transitRig) give(id playback.KeyID, n int, state keystore.State) {
	r.Helper()
	r.check(r.admin.Create(r.Context(), acme, keystore.NewKey{ID: id, PEM: keystoretest.PEM(r, n), Life: keystore.Life{State: keystore.Prepared}}))
	r.store(id, map[string]any{"state": string(state)})
}

// active returns the key that signs now.
func (r *transitRig) active() *keystore.Key {
	r.Helper()
	set, _, err := keystore.Load(r.Context(), r.source, acme)
	r.check(err)
	key, ok := set.Active()
	if !ok || key.Remote == nil || key.Private != nil {
		r.Fatalf("got %v, want a key that signs elsewhere", set.Keys)
	}
	return key
}

func (r *transitRig) keyPath(id string) string { return "transit/keys/" + r.prefix + ".acme." + id }

func (r *transitRig) write(path string, data map[string]any) {
	r.Helper()
	_, err := r.server.Client().Logical().WriteWithContext(r.Context(), path, data)
	r.check(err)
}

func digestsOf(texts ...string) [][sha256.Size]byte {
	var digests [][sha256.Size]byte
	for _, text := range texts {
		digests = append(digests, sha256.Sum256([]byte(text)))
	}
	return digests
}

func transits(t *testing.T, p *prefixes) {
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		transitConformance(t, p)
	})
	for _, c := range []struct {
		name string
		test func(*transitRig)
	}{
		{"signs as the key itself would", func(r *transitRig) {
			r.give("K1", 1, keystore.Active)
			signatures, err := r.active().Remote.Sign(r.Context(), digestsOf("a", "b", "c"))
			r.check(err)
			for i, digest := range digestsOf("a", "b", "c") {
				want, err := rsa.SignPKCS1v15(nil, keystoretest.Private(r, 1), crypto.SHA256, digest[:])
				r.check(err)
				if !bytes.Equal(signatures[i], want) {
					r.Errorf("signature %d differs from that of crypto/rsa", i)
				}
			}
			if got := r.active().Thumbprint; got != keystoretest.Thumbprint(r, 1) {
				r.Error("the thumbprint is not that of the key")
			}
		}},
		{"openssl verifies a signature", opensslVerifies},
		{"a key without its transit key is refused alone", func(r *transitRig) {
			r.give("K1", 1, keystore.Active)
			r.store("K2", map[string]any{"state": "prepared"})
			r.want("K1 active", "K2: has its state here, but its key "+r.keyPath("K2")+" is not there")
			r.give2(2)
			r.want("K1 active, K2 prepared")
		}},
		{"a private key in the entry is reported", func(r *transitRig) {
			r.give("K1", 1, keystore.Active)
			r.store("K1", map[string]any{"state": "active", "private_key": string(keystoretest.PEM(r, 1))})
			r.want("K1 active", "K1: holds a private_key")
		}},
		{"an elliptic key is refused alone", func(r *transitRig) {
			r.give("K1", 1, keystore.Active)
			r.write(r.keyPath("K2"), map[string]any{"type": "ecdsa-p256"})
			r.store("K2", map[string]any{"state": "prepared"})
			r.want("K1 active", `is of type "ecdsa-p256"`)
		}},
		{"a rotation inside Vault does not change what signs", func(r *transitRig) {
			r.write(r.keyPath("K1"), map[string]any{"type": "rsa-2048"})
			r.store("K1", map[string]any{"state": "active"})
			before := r.active()
			r.write(r.keyPath("K1")+"/rotate", nil)
			after := r.active()
			if before.Thumbprint != after.Thumbprint {
				r.Error("the key changed")
			}
			digest := digestsOf("x")[0]
			signatures, err := after.Remote.Sign(r.Context(), digestsOf("x"))
			r.check(err)
			r.check(rsa.VerifyPKCS1v15(before.Public(), crypto.SHA256, digest[:], signatures[0]))
			r.write(r.keyPath("K1")+"/config", map[string]any{"min_encryption_version": 2})
			r.want("", "K1: its key "+r.keyPath("K1")+" has the min_encryption_version 2")
		}},
		{"a key that is withdrawn in KV is gone, one that is deleted in transit too", func(r *transitRig) {
			r.give("K1", 1, keystore.Active)
			r.give("K2", 2, keystore.Prepared)
			r.want("K1 active, K2 prepared")
			r.check(r.kv().Delete(r.Context(), r.path(acme, "K1")))
			r.want("K2 prepared")
			r.write(r.keyPath("K2")+"/config", map[string]any{"deletion_allowed": true})
			_, err := r.server.Client().Logical().DeleteWithContext(r.Context(), r.keyPath("K2"))
			r.check(err)
			r.want("", "K2: has its state here")
		}},
		{"a revoked token is replaced while signing", func(r *transitRig) {
			r.give("K1", 1, keystore.Active)
			signer := r.active().Remote
			old := r.tokenInFile()
			r.server.File(r.prefix+"-token", r.server.Token(&api.TokenCreateRequest{Policies: []string{r.prefix}}))
			r.server.Revoke(old)
			_, err := signer.Sign(r.Context(), digestsOf("x"))
			r.check(err)
		}},
		{"a policy without sign is named", func(r *transitRig) {
			r.give("K1", 1, keystore.Active)
			signer := r.active().Remote
			r.server.Policy(r.prefix, vaulttest.Rules(r, "gateway-kv", "secret", r.prefix))
			r.wantUnavailable(signer, "writing transit/sign/"+r.prefix+".acme.K1", "Vault answered 403")
		}},
		{"a transit engine that is missing is named", func(r *transitRig) {
			r.config.TransitMount = "nowhere"
			r.check(r.source.Close())
			source, err := vault.New(r.config)
			r.check(err)
			r.source = source
			r.store("K1", map[string]any{"state": "active"})
			r.want("", "K1: reading nowhere/keys/"+r.prefix+".acme.K1: Vault answered 403")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(p.transit(t, nil))
		})
	}
	t.Run("breaking", func(t *testing.T) {
		t.Parallel()
		breaking(t, p)
	})
	t.Run("imports", func(t *testing.T) {
		t.Parallel()
		imports(p.transit(t, nil))
	})
}

// give2 imports test key n for an entry K2 that is there already.
func (r *transitRig) give2(n int) {
	r.Helper()
	r.check(r.kv().DeleteMetadata(r.Context(), r.path(acme, "K2")))
	r.give("K2", n, keystore.Prepared)
}

func (r *transitRig) wantUnavailable(signer keystore.Signer, parts ...string) time.Duration {
	r.Helper()
	_, err := signer.Sign(r.Context(), digestsOf("x"))
	unavailable, ok := err.(*keystore.UnavailableError) //nolint:errorlint // the interface promises this very type
	if !ok {
		r.Fatalf("Sign = %v, want an UnavailableError", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			r.Errorf("Sign = %v, want %q", err, part)
		}
	}
	return unavailable.RetryAfter
}

// transitConformance runs what every source must do. A key that is put there
// replaces the one before, as no operator could do it.
func transitConformance(t *testing.T, p *prefixes) {
	keystoretest.Run(t, func(t *testing.T) *keystoretest.Harness {
		t.Helper()
		r := p.transit(t, nil)
		return &keystoretest.Harness{
			Source: r.source, KeepsNoText: "the transit engine holds keys, not texts",
			Put: func(t testing.TB, env playback.EnvironmentID, id playback.KeyID, e keystoretest.Entry) {
				t.Helper()
				r.check(r.admin.Delete(t.Context(), env, id))
				if _, _, err := keystore.Parse(e.Material); err == nil {
					r.check(r.admin.Create(t.Context(), env, keystore.NewKey{ID: id, PEM: e.Material, Life: keystore.Life{State: keystore.Prepared}}))
				}
				members := keystore.Life{State: e.State, CreatedAt: e.CreatedAt, ActivatedAt: e.ActivatedAt, RetiredAt: e.RetiredAt}.Document()
				_, err := r.kv().Put(t.Context(), r.path(env, id), members)
				r.check(err)
			},
			Remove: func(t testing.TB, env playback.EnvironmentID, id playback.KeyID) {
				t.Helper()
				r.check(r.admin.Delete(t.Context(), env, id))
			},
		}
	})
}

// opensslVerifies lets another implementation judge.
func opensslVerifies(r *transitRig) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			r.Fatal(err)
		}
		r.Skip("no openssl: ", err)
	}
	r.give("K1", 1, keystore.Active)
	signatures, err := r.active().Remote.Sign(r.Context(), digestsOf("header.payload"))
	r.check(err)
	public, err := x509.MarshalPKIXPublicKey(&keystoretest.Private(r, 1).PublicKey)
	r.check(err)
	directory := r.TempDir()
	for name, content := range map[string][]byte{
		"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "signature": signatures[0], "text": []byte("header.payload"),
	} {
		r.check(os.WriteFile(filepath.Join(directory, name), content, 0o600))
	}
	command := exec.CommandContext(r.Context(), openssl, "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "text")
	command.Dir = directory
	if out, err := command.CombinedOutput(); err != nil {
		r.Errorf("openssl: %v: %s", err, out)
	}
}

// imports brings keys in, and tries what must not work.
func imports(r *transitRig) {
	create := func(id playback.KeyID, material []byte) error {
		return r.admin.Create(r.Context(), acme, keystore.NewKey{ID: id, PEM: material, Life: keystore.Life{State: keystore.Prepared}})
	}
	big, err := rsa.GenerateKey(rand.Reader, 3072)
	r.check(err)
	odd, err := rsa.GenerateKey(rand.Reader, 2056)
	r.check(err)
	r.check(create("K3", pkcs1(big)))
	found, err := r.server.Client().Logical().ReadWithContext(r.Context(), r.keyPath("K3"))
	r.check(err)
	for name, want := range map[string]any{"type": "rsa-3072", "exportable": false, "allow_plaintext_backup": false, "imported_key": true, "imported_key_allow_rotation": false} {
		if found.Data[name] != want {
			r.Errorf("%s is %v, want %v", name, found.Data[name], want)
		}
	}
	if err := create("ODD", pkcs1(odd)); err == nil || !strings.Contains(err.Error(), "2056 bits; transit holds those of 2048, 3072 and 4096") {
		r.Errorf("Create of 2056 bits = %v", err)
	}
	if err := create("K4-", keystoretest.PEM(r, 1)); err == nil || !strings.Contains(err.Error(), "ends with a hyphen") {
		r.Errorf("Create of K4- = %v", err)
	}
	r.store("K5-", map[string]any{"state": "prepared"})
	r.want("K3 prepared", "K5-: transit cannot hold")
}

func pkcs1(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// The vectors of RFC 5649 §6.
func TestKeyWrapMatchesItsRFC(t *testing.T) {
	t.Parallel()
	decode := func(text string) []byte {
		data, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	with := decode("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for key, want := range map[string]string{
		"c37b7e6492584340bed12207808941155068f738": "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
		"466f7250617369": "afbeb0f07dfbf5419200f2ccb50bb24f",
	} {
		got, err := vault.WrapKey(with, decode(key))
		if err != nil || !bytes.Equal(got, decode(want)) {
			t.Errorf("wrapping %s = %x, %v, want %s", key, got, err, want)
		}
	}
	if _, err := vault.WrapKey(with[:5], with); err == nil {
		t.Error("a key of 5 bytes wraps")
	}
	if _, err := vault.WrapKey(with, nil); err == nil {
		t.Error("nothing is wrapped")
	}
}
