package app_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/configs"
)

// rightsConfiguration has a store in a file, rules and sets beside it, and a geo
// database that knows where loopback is.
func rightsConfiguration() string {
	return `
server: {listen: "127.0.0.1:0", admin_listen: "", drain_delay: 0, trusted_proxies: ["127.0.0.1/32"]}
keystore: {driver: memory}
geo: {database: geo/city.mmdb, country_header: X-Country}
organizations:
  - id: acme
    environments:
      - id: acme
        anonymous: true
        access_tokens: [` + accessToken() + `]
        playback_ids:
          - {id: FILM, asset: {id: A1}}
          - {id: SHORT, asset: {id: A2}}
        policy_file: policies/acme.yaml
`
}

// accessToken is the configuration of the credential that backend sends.
func accessToken() string {
	sum := sha256.Sum256([]byte("secret"))
	return "{id: backend, secret_sha256: " + hex.EncodeToString(sum[:]) + ", permissions: [video:read, video:write, system:read]}"
}

const rightsRules = `
version: 1
sets: {territory: ../sets/territory.txt}
rules:
  - id: held
    effect: allow
    when: viewer.grants.size() > 0
    grant: {ttl: 1h, types: [video, thumbnail]}
  - id: here
    effect: allow
    when: asset.id == "A2" && inSet("territory", request.country)
`

func geoDatabase(t *testing.T, country string) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-Country", IncludeReservedNetworks: true, RecordSize: 24})
	if err != nil {
		t.Fatal(err)
	}
	_, loopback, err := net.ParseCIDR("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Insert(loopback, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(country)}}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// backend sends a request with the backend's access token, and reads the answer
// into a tree.
func backend(t *testing.T, a *app.App, method, path, body string, headers ...string) (int, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if headers == nil {
		req.SetBasicAuth("backend", "secret")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if data, ok := out["data"].(map[string]any); ok {
		out = data
	}
	return res.StatusCode, out
}

// TestARentalFromBeginningToEnd, over HTTP and a restart of the gateway.
func TestARentalFromBeginningToEnd(t *testing.T) {
	t.Parallel()
	path := write(t, rightsConfiguration())
	dir := filepath.Dir(path)
	put(t, filepath.Join(dir, "policies/acme.yaml"), rightsRules)
	put(t, filepath.Join(dir, "sets/territory.txt"), "DE\n")
	put(t, filepath.Join(dir, "geo/city.mmdb"), geoDatabase(t, "FR"))
	a := started(t, path)

	ask := func(what string) (int, map[string]any) {
		t.Helper()
		return backend(t, a, "POST", "/v1/tokens", `{"playback_id":"FILM","viewer":{"id":"u1"},"types":["`+what+`"]}`)
	}
	firstPlay := func() any {
		t.Helper()
		code, grant := backend(t, a, "GET", "/v1/grants/order-1", "")
		if code != http.StatusOK {
			t.Fatalf("GET = %d %v", code, grant)
		}
		return grant["first_play"]
	}
	expiry := func(answer map[string]any) float64 {
		t.Helper()
		return answer["tokens"].([]any)[0].(map[string]any)["expires_at"].(float64)
	}
	if code, answer := ask("video"); code != http.StatusForbidden {
		t.Fatalf("without a grant: %d %v", code, answer)
	}
	if code, answer := backend(t, a, "PUT", "/v1/grants/order-1", `{"viewer":{"id":"u1"},"type":"rental","scope":{"asset_id":"A1"},"play_within":"30m"}`); code != http.StatusCreated {
		t.Fatalf("PUT = %d %v", code, answer)
	}
	if code, answer := ask("thumbnail"); code != http.StatusOK || firstPlay() != nil {
		t.Errorf("a picture: %d %v, first play %v", code, answer, firstPlay())
	}
	code, answer := ask("video")
	begun, ok := firstPlay().(float64)
	if code != http.StatusOK || !ok || expiry(answer) != begun+1800 {
		t.Fatalf("the film: %d %v, first play %v", code, answer, firstPlay())
	}
	if token := answer["tokens"].([]any)[0].(map[string]any); token["refresh_at"] != nil {
		t.Errorf("refresh_at is %v, and no later token can be had", token["refresh_at"])
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a = started(t, path)
	if code, answer = ask("video"); code != http.StatusOK || expiry(answer) != begun+1800 || firstPlay() != begun {
		t.Errorf("after a restart: %d %v, first play %v", code, answer, firstPlay())
	}
	if code, _ := backend(t, a, "DELETE", "/v1/grants/order-1", ""); code != http.StatusNoContent {
		t.Errorf("DELETE = %d", code)
	}
	if code, answer := ask("video"); code != http.StatusForbidden {
		t.Errorf("after it was deleted: %d %v", code, answer)
	}
}

// TestPlacesAndSetsChangeWhileTheGatewayRuns.
func TestPlacesAndSetsChangeWhileTheGatewayRuns(t *testing.T) {
	t.Parallel()
	path := write(t, rightsConfiguration())
	dir := filepath.Dir(path)
	put(t, filepath.Join(dir, "policies/acme.yaml"), rightsRules)
	territory := filepath.Join(dir, "sets/territory.txt")
	put(t, territory, "DE\nAT\n")
	database := filepath.Join(dir, "geo/city.mmdb")
	put(t, database, geoDatabase(t, "FR"))
	a := started(t, path)
	short := func(headers ...string) int {
		t.Helper()
		code, _ := backend(t, a, "GET", "/v1/playback-ids/SHORT/token", "", append(headers, "X-Nothing", "")...)
		return code
	}
	if code := short(); code != http.StatusForbidden {
		t.Errorf("from France: %d", code)
	}
	if code := short("X-Country", "AT"); code != http.StatusOK {
		t.Errorf("the proxy says Austria: %d", code)
	}
	put(t, territory, "DE\nFR\n")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code := short(); code != http.StatusOK {
		t.Errorf("from France, once it is in the set: %d", code)
	}
	if code := short("X-Country", "AT"); code != http.StatusForbidden {
		t.Errorf("the proxy says Austria, once it is not: %d", code)
	}
	put(t, territory, strings.Repeat("x", 300))
	var problems configs.Problems
	if err := a.Reload(t.Context()); !errors.As(err, &problems) || !strings.Contains(err.Error(), "/sets/territory.txt:1)") {
		t.Errorf("Reload of a broken set = %v", err)
	}
	if code := short(); code != http.StatusOK {
		t.Errorf("the old set does not stay: %d", code)
	}
	if err := os.Remove(territory); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(t.Context()); err == nil {
		t.Error("a set that is gone was accepted")
	}
}

func TestAGeoDatabaseThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	path := write(t, rightsConfiguration())
	dir := filepath.Dir(path)
	put(t, filepath.Join(dir, "policies/acme.yaml"), rightsRules)
	put(t, filepath.Join(dir, "sets/territory.txt"), "DE\n")
	put(t, filepath.Join(dir, "geo/city.mmdb"), "no database")
	if a, err := app.New(app.Options{Path: path, Log: io.Discard}); err == nil || !strings.Contains(err.Error(), "city.mmdb") {
		t.Errorf("New = %v, %v", a, err)
	}
	var problems configs.Problems
	if _, _, err := app.Check(path, nil); !errors.As(err, &problems) || problems[0].Path != "geo.database" {
		t.Errorf("Check = %v", err)
	}
}
