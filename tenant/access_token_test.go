package tenant_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/tenant"
)

func TestNewAccessTokenMakesAVersion4UUIDAndA32ByteSecret(t *testing.T) {
	t.Parallel()
	uuid := regexp.MustCompile(`\A[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z`)
	secrets := regexp.MustCompile(`\A[A-Za-z0-9_-]{43}\z`)
	seen := map[string]bool{}
	for range 50 {
		id, secret, err := tenant.NewAccessToken(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !uuid.MatchString(id) || !tenant.ValidAccessTokenID(id) {
			t.Errorf("ID = %q, want a UUID of version 4", id)
		}
		if !secrets.MatchString(secret.Reveal()) {
			t.Errorf("secret has %d characters, want 43 of base64url", len(secret.Reveal()))
		}
		if seen[id] || seen[secret.Reveal()] {
			t.Error("an access token was drawn twice")
		}
		seen[id], seen[secret.Reveal()] = true, true
	}
}

func TestNewAccessTokenTakesTheRandomnessItIsGiven(t *testing.T) {
	t.Parallel()
	id, secret, err := tenant.NewAccessToken(bytes.NewReader(bytes.Repeat([]byte{0xff}, 48)))
	if err != nil || id != "ffffffff-ffff-4fff-bfff-ffffffffffff" || secret.Reveal() != strings.Repeat("_", 42)+"8" {
		t.Errorf("NewAccessToken = %q, %q, %v", id, secret.Reveal(), err)
	}
	if _, _, err := tenant.NewAccessToken(bytes.NewReader(make([]byte, 47))); err == nil {
		t.Error("NewAccessToken made do with 47 bytes")
	}
	broken := errors.New("broken")
	if _, _, err := tenant.NewAccessToken(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("NewAccessToken = %v, want the reader's error", err)
	}
}

func TestParseSecretHashReadsHexOfTheSecretsText(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("s3cret"))
	text := hex.EncodeToString(sum[:])
	for _, good := range []string{text, strings.ToUpper(text)} {
		h, err := tenant.ParseSecretHash(good)
		if err != nil || h != tenant.HashSecret("s3cret") || h.Hex() != text {
			t.Errorf("ParseSecretHash(%q) = %s, %v", good, h.Hex(), err)
		}
	}
	for _, bad := range []string{"", "s3cret", text[:63], text + "0", "g" + text[1:], " " + text[1:]} {
		_, err := tenant.ParseSecretHash(bad)
		if err == nil {
			t.Errorf("ParseSecretHash(%q) accepts it", bad)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats what may be a secret: %v", err)
		}
	}
}

func TestSecretHashNeverShows(t *testing.T) {
	t.Parallel()
	token := tenant.AccessToken{ID: "t1", Secret: tenant.HashSecret("s3cret")}
	encoded, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "token", token, "hash", token.Secret)
	raw := fmt.Sprint([32]byte(token.Secret))
	for _, shown := range []string{
		fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s %x %d", token, token, token, token.Secret, token.Secret, token.Secret), string(encoded), logged.String(),
	} {
		if strings.Contains(shown, token.Secret.Hex()) || strings.Contains(shown, strings.Trim(raw, "[]")) {
			t.Errorf("the hash shows: %s", shown)
		}
	}
}

func TestAuthenticateAdmitsOnlyTheRightSecret(t *testing.T) {
	t.Parallel()
	d := mustDirectory(t, org("acme",
		tenant.Environment{ID: "prod", AccessTokens: []tenant.AccessToken{
			{ID: "t1", Name: "backend", Secret: tenant.HashSecret("one"), Permissions: tenant.PermissionsOf(tenant.VideoRead)},
			{ID: "t2", Secret: tenant.HashSecret("two")},
		}},
		tenant.Environment{ID: "dev", AccessTokens: []tenant.AccessToken{{ID: "t3", Secret: tenant.HashSecret("three")}}},
	))
	for _, c := range []struct{ id, secret, environment string }{
		{"t1", "one", "prod"},
		{"t2", "two", "prod"},
		{"t3", "three", "dev"},
		{"t1", "two", ""},
		{"t1", "", ""},
		{"t1", "one ", ""},
		{"T1", "one", ""},
		{"", "", ""},
		{"t4", "one", ""},
		{"t1", tenant.HashSecret("one").Hex(), ""},
	} {
		token, ok := d.Authenticate(c.id, c.secret)
		if ok != (c.environment != "") || ok && (token.ID != c.id || string(token.Environment) != c.environment) || !ok && token != nil {
			t.Errorf("Authenticate(%q, %q) = %v, %v, want environment %q", c.id, c.secret, token, ok, c.environment)
		}
	}
	token, _ := d.Authenticate("t1", "one")
	if !token.May(tenant.VideoRead) || token.May(tenant.VideoWrite) || token.Name != "backend" {
		t.Errorf("token = %+v", token)
	}
}

func TestAuthenticateDoesTheSameWorkForUnknownIDs(t *testing.T) {
	d := mustDirectory(t, org("acme", tenant.Environment{ID: "prod", AccessTokens: []tenant.AccessToken{{ID: "t1", Secret: tenant.HashSecret("one")}}}))
	known := testing.AllocsPerRun(100, func() { d.Authenticate("t1", "wrong") })
	unknown := testing.AllocsPerRun(100, func() { d.Authenticate("t9", "wrong") })
	if known != unknown {
		t.Errorf("a known ID allocates %v times, an unknown one %v", known, unknown)
	}
}

func TestPermissionsAreVideoDataSystemReadWrite(t *testing.T) {
	t.Parallel()
	want := []string{"video:read", "video:write", "data:read", "data:write", "system:read", "system:write"}
	if diff := cmp.Diff(want, tenant.PermissionNames()); diff != "" {
		t.Errorf("PermissionNames: %s", diff)
	}
	var all []tenant.Permission
	for _, name := range want {
		p, err := tenant.ParsePermission(name)
		if err != nil || p.String() != name {
			t.Errorf("ParsePermission(%q) = %v, %v", name, p, err)
		}
		all = append(all, p)
		for _, other := range all[:len(all)-1] {
			if set := tenant.PermissionsOf(other); set.Has(p) {
				t.Errorf("%v includes %v", other, p)
			}
		}
	}
	if diff := cmp.Diff(want, tenant.PermissionsOf(all...).Names()); diff != "" {
		t.Errorf("Names: %s", diff)
	}
	for _, bad := range []string{"", "video", "video:", "video:admin", "VIDEO:READ", "video:read ", "*"} {
		if _, err := tenant.ParsePermission(bad); err == nil {
			t.Errorf("ParsePermission(%q) accepts it", bad)
		}
	}
	if tenant.PermissionsOf(all...).Has(0) {
		t.Error("the zero permission is granted")
	}
	if got := tenant.Permissions(0).String(); got != "" {
		t.Errorf("no permissions read %q", got)
	}
}
