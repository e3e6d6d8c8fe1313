package vault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
)

// changes walks through every way in which an entry can change. Vault shows
// most of them in neither the version nor the update time.
func changes(t *testing.T, p *prefixes) {
	for name, test := range map[string]func(*rig){
		"versions are deleted, undeleted and destroyed": func(r *rig) {
			r.store("K1", entry(r, 1, keystore.Active))
			r.store("K2", entry(r, 2, keystore.Prepared))
			r.want("K1 active, K2 prepared")
			r.store("K2", entry(r, 2, keystore.Retired))
			r.want("K1 active, K2 retired")

			ctx, kv, path := r.Context(), r.kv(), r.path(acme, "K2")
			r.check(kv.Delete(ctx, path))
			r.want("K1 active")
			r.check(kv.Undelete(ctx, path, []int{2}))
			r.want("K1 active, K2 retired")
			r.check(kv.Destroy(ctx, path, []int{1})) // an old version
			r.want("K1 active, K2 retired")
			r.check(kv.Destroy(ctx, path, []int{2}))
			r.want("K1 active")
			r.store("K2", entry(r, 3, keystore.Prepared))
			r.want("K1 active, K2 prepared")
			r.check(kv.DeleteMetadata(ctx, path))
			r.want("K1 active")
			r.check(kv.DeleteMetadata(ctx, r.path(acme, "K1")))
			r.want("", "secret/data/"+r.prefix+"/acme/signing-keys: holds no keys")
		},
		"a rollback brings an old key back": func(r *rig) {
			r.store("K1", entry(r, 1, keystore.Active))
			r.store("K1", entry(r, 2, keystore.Active))
			r.want("K1 active")
			_, err := r.kv().Rollback(r.Context(), r.path(acme, "K1"), 1)
			r.check(err)
			set, _, err := keystore.Load(r.Context(), r.source, acme)
			r.check(err)
			if key, ok := set.Active(); !ok || key.Thumbprint != keystoretest.Thumbprint(r, 1) {
				r.Errorf("got %v", set.Keys)
			}
		},
		"data is read only when metadata changed": func(r *rig) {
			r.store("K1", entry(r, 1, keystore.Active))
			r.store("K2", entry(r, 2, keystore.Prepared))
			expect := func(reads int) {
				r.Helper()
				r.want("K1 active, K2 prepared")
				if got := r.proxy.count("data"); got != reads {
					r.Errorf("%d readings of data so far, want %d", got, reads)
				}
			}
			expect(2)
			expect(2)
			r.store("K2", entry(r, 2, keystore.Prepared))
			expect(3)
			r.check(r.kv().PutMetadata(r.Context(), r.path(acme, "K1"), api.KVMetadataPutInput{CustomMetadata: map[string]any{"owner": "video team"}}))
			expect(4)
			r.check(r.kv().PatchMetadata(r.Context(), r.path(acme, "K1"), api.KVMetadataPatchInput{CustomMetadata: map[string]any{"owner": "ops"}}))
			expect(5)
			expect(5)
			r.check(r.kv().PutMetadata(r.Context(), r.path(acme, "K2"), api.KVMetadataPutInput{MaxVersions: 3}))
			expect(6)
			expect(6)
		},
		"a version that expires goes, though its metadata stays the same": func(r *rig) {
			r.check(r.kv().PutMetadata(r.Context(), r.path(acme, "K1"), api.KVMetadataPutInput{DeleteVersionAfter: 2 * time.Second}))
			r.store("K1", entry(r, 1, keystore.Active))
			r.want("K1 active")
			r.eventually("K1 is withdrawn", func() bool {
				keys, _, err := r.load()
				r.check(err)
				return keys == ""
			})
		},
		"metadata without a version is no key": func(r *rig) {
			r.check(r.kv().PutMetadata(r.Context(), r.path(acme, "K1"), api.KVMetadataPutInput{CustomMetadata: map[string]any{"a": "b"}}))
			r.want("", "holds no keys")
			r.store("K1", entry(r, 1, keystore.Active))
			r.want("K1 active")
		},
		"entries as people write them": func(r *rig) {
			pem := string(keystoretest.PEM(r, 1))
			r.store("K1", map[string]any{"private_key": pem, "state": "active", "activated_at": "1795425054", "created_at": "2026-11-23T09:10:54Z", "note": "made by hand", "id": "K1"})
			r.store("K2", map[string]any{"private_key": pem, "state": "retired", "retired_at": 1795425054, "created_at": nil})
			r.store("K3", map[string]any{"key": pem, "state": "prepared"})
			r.store("K4", map[string]any{"private_key": 4, "state": "prepared"})
			r.store("K5", map[string]any{"private_key": pem, "state": "prepared", "created_at": 1.5})
			r.store("K6", map[string]any{})
			r.store("K9", map[string]any{"private_key": pem, "state": "retired", "retierd_at": 1795425054})
			r.store("K 7", map[string]any{"private_key": pem})
			r.store("folder/K8", map[string]any{"private_key": pem})
			at := "secret/data/" + r.prefix + "/acme/signing-keys/"
			r.want("K1 active, K2 retired, K9 retired", at+"K3: has no private_key", at+"K4: has no private_key", at+"K5: has a created_at that is malformed",
				at+"K6: has no private_key", at+"K9: has members that nothing reads: \"retierd_at\"; did you mean retired_at?", at+"K 7: is not named after a key ID")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(p.rig(t, nil))
		})
	}

	t.Run("without a prefix", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, func(r *rig) {
			p.server.Enable(r.prefix, 2)
			p.server.Policy(r.prefix, `path "`+r.prefix+`/*" { capabilities = ["read", "list"] }`)
			r.useToken(&api.TokenCreateRequest{Policies: []string{r.prefix}})
			r.config.Mount, r.config.Prefix = r.prefix, ""
		})
		_, err := p.server.Client().KVv2(r.prefix).Put(t.Context(), "acme/signing-keys/K1", entry(t, 1, keystore.Active))
		r.check(err)
		r.want("K1 active")
	})
}

// mounts points at what is no KV version 2 engine. None of it may look like an
// environment without keys, which would withdraw them.
func mounts(t *testing.T, p *prefixes) {
	p.server.Enable("old", 1)
	p.server.Enable("deep/mount", 2)
	for _, c := range []struct{ name, mount, reason string }{
		{"KV version 1", "old", "KV version 1"},
		{"missing", "nowhere", "no handler for route"},
		{"another engine", "transit", "the mount transit is of type transit; want kv, version 2"},
		{"a path inside a mount", "secret/inside", "lies in the mount secret/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p.rig(t, func(r *rig) {
				r.config.Mount = c.mount
				r.useToken(&api.TokenCreateRequest{})
			}).wantError(c.reason)
		})
	}
	t.Run("a mount of several segments", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, func(r *rig) {
			r.config.Mount = "/deep/mount/"
			r.useToken(&api.TokenCreateRequest{})
		})
		r.want("", "holds no keys")
		r.want("", "holds no keys")
		if n := r.proxy.count("mounts"); n != 1 {
			t.Errorf("the mount was looked at %d times, want once", n)
		}
	})
	t.Run("KV version 1 takes no operation", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, func(r *rig) {
			r.config.Mount = "old"
			r.useToken(&api.TokenCreateRequest{})
		})
		err := r.source.OpenJournal(t.Context(), acme, keystore.Entry{Operation: "create", StartedAt: time.Now()})
		if err == nil || !strings.Contains(err.Error(), "enable-versioning") {
			t.Errorf("OpenJournal = %v, want what to do", err)
		}
		left, err := p.server.Client().Logical().ReadWithContext(t.Context(), "old/data/"+r.prefix+"/acme/journal")
		if err != nil || left != nil {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	t.Run("the token may see neither mounts nor itself", func(t *testing.T) {
		t.Parallel()
		r := p.rig(t, func(r *rig) {
			p.server.Policy(r.prefix, `path "secret/metadata/`+r.prefix+`/*" { capabilities = ["read", "list"] }
				path "secret/data/`+r.prefix+`/*" { capabilities = ["read"] }`)
			r.useToken(&api.TokenCreateRequest{Policies: []string{r.prefix}, NoDefaultPolicy: true})
		})
		r.want("", "holds no keys")
		r.store("K1", entry(t, 1, keystore.Active))
		r.want("K1 active")
	})
}
