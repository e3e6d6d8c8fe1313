package configs_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
)

func TestIDsFitTheirGrammar(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 256)
	for _, bad := range []string{"Acme", "-acme", "ac_me", "acme.prod", "ac/me", "../etc", long[:64], "é"} {
		refused(t, "organizations: [{id: '"+bad+"'}]", "organizations[0].id", "match", nil)
		refused(t, "organizations: [{id: a, environments: [{id: '"+bad+"'}]}]", "organizations[0].environments[0].id", "match", nil)
	}
	mustLoad(t, "organizations: [{id: 0-a, environments: [{id: "+long[:63]+"}, {id: a-}, {id: 007}]}]", nil)
	refused(t, "organizations: [{name: x}]", "organizations[0].id", "is required", nil)
	for _, bad := range []string{"P-1", "P_1", "P 1", "P/1", long} {
		refused(t, environment("playback_ids: [{id: '"+bad+"'}]"), inEnvironment+"playback_ids[0].id", "match", nil)
		refused(t, environment("playback_ids: [{id: P, asset: {id: '"+bad+"'}}]"), inEnvironment+"playback_ids[0].asset.id", "match", nil)
		refused(t, environment("playback_ids: [{id: P, live_stream: {id: '"+bad+"'}}]"), inEnvironment+"playback_ids[0].live_stream.id", "match", nil)
	}
	refused(t, environment("playback_ids: [{policy: signed}]"), inEnvironment+"playback_ids[0].id", "is required", nil)
	refused(t, environment("playback_ids: [{id: P, asset: {duration: 1}}]"), inEnvironment+"playback_ids[0].asset.id", "is required", nil)
	mustLoad(t, environment("playback_ids: [{id: "+long[:255]+"}]"), nil)
}

func TestListenAddresses(t *testing.T) {
	t.Parallel()
	for _, good := range []string{":8081", "127.0.0.1:0", "[::1]:8081", "0.0.0.0:80", "localhost:8081", "[::]:65535"} {
		mustLoad(t, `server: {listen: "`+good+`"}`, nil)
	}
	for _, bad := range []string{"8080", "localhost", ":http", ":65536", ":-1", ":08", "::1:80", "a b:80", "http://x:80"} {
		refused(t, `server: {listen: "`+bad+`"}`, "server.listen", "", nil)
		refused(t, `server: {admin_listen: "`+bad+`"}`, "server.admin_listen", "", nil)
	}
	refused(t, `server: {listen: ":9090"}`, "server.admin_listen", "server.listen", nil)
	refused(t, `server: {listen: "10.0.0.1:9090", admin_listen: "[::]:9090"}`, "server.admin_listen", "server.listen", nil)
	mustLoad(t, `server: {listen: "10.0.0.1:9090"}`, nil)
	mustLoad(t, `server: {listen: ":0", admin_listen: "127.0.0.1:0"}`, nil)
}

func TestTrustedProxiesAreCIDRs(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, `server: {trusted_proxies: [10.0.0.0/8, 192.168.1.7/24, "fd00::/8", "::ffff:172.16.0.0/108"]}`, nil).Config.Server.TrustedProxies
	want := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("172.16.0.0/12"),
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"10.0.0.1", "::1", "10.0.0.0/33", "10.0.0/8", "localhost", "", "fe80::%eth0/10", "10.0.0.0/08"} {
		refused(t, `server: {trusted_proxies: ["`+bad+`"]}`, "server.trusted_proxies[0]", "CIDR", nil)
	}
}

func TestAccessLogIsAllErrorsOrOneInN(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]configs.AccessLog{"all": 1, "errors": 0, "1/1": 1, "1/100": 100, "1/1000000": 1_000_000} {
		if got := mustLoad(t, "log: {access: "+text+"}", nil).Config.Log.Access; got != want {
			t.Errorf("%s = %d, want %d", text, got, want)
		}
	}
	for _, bad := range []string{"none", "ALL", "1/0", "1/-5", "2/100", "1/", "100", "0.01", "1/1.5", "1/99999999999"} {
		refused(t, "log: {access: "+bad+"}", "log.access", "1/N", nil)
	}
}

func TestChoicesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, after, path string
		good, bad           []string
	}{
		{"log: {level: ", "}", "log.level", []string{"debug", "info", "warn", "error"}, []string{"trace", "INFO", "warning"}},
		{"log: {format: ", "}", "log.format", []string{"json", "text"}, []string{"logfmt"}},
		{"keystore: {driver: ", "}", "keystore.driver", []string{"memory", "file"}, []string{"s3", "Vault"}},
		{"keystore: {vault: {mode: ", "}}", "keystore.vault.mode", []string{"kv", "transit"}, []string{"kv2"}},
		{"keystore: {vault: {auth: {method: ", "}}}", "keystore.vault.auth.method", []string{"token", "approle", "kubernetes", "jwt", "cert"}, []string{"userpass"}},
		{"signer: {backend: ", "}", "signer.backend", []string{"auto", "multibuffer", "openssl", "go"}, []string{"boring"}},
		{environmentHead + "token: {kid: ", "}", inEnvironment + "token.kid", []string{"claim", "header", "both"}, []string{"none"}},
		{environmentHead + "catalog: {unknown: ", "}", inEnvironment + "catalog.unknown", []string{"signed", "deny"}, []string{"public"}},
		{environmentHead + "delivery: {token_in: ", "}", inEnvironment + "delivery.token_in", []string{"query"}, []string{"header"}},
		{environmentHead + "playback_ids: [{id: P, policy: ", "}]", inEnvironment + "playback_ids[0].policy", []string{"signed", "public", "drm"}, []string{"private", "Signed"}},
	} {
		for _, good := range c.good {
			mustLoad(t, c.before+good+c.after, nil)
		}
		for _, bad := range c.bad {
			refused(t, c.before+bad+c.after, c.path, "want", nil)
		}
	}
}

const environmentHead = "organizations:\n  - id: acme\n    environments:\n      - id: acme-prod\n        "

func TestNumbersAndSizes(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "signer: {concurrency: 4, queue: 1}\ncache: {max_entries: 1, max_bytes: 64KiB}", nil).Config
	if c.Signer.Concurrency != 4 || c.Signer.Queue != 1 || c.Cache.MaxEntries != 1 || c.Cache.MaxBytes != 64<<10 {
		t.Errorf("signer %+v, cache %+v", c.Signer, c.Cache)
	}
	for text, want := range map[string]configs.Size{
		"1048576": 1 << 20, "1B": 1, "1KiB": 1 << 10, "256MiB": 256 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40, "1KB": 1000, "5MB": 5e6, "1GB": 1e9, "1TB": 1e12,
	} {
		if got := mustLoad(t, "cache: {max_bytes: "+text+"}", nil).Config.Cache.MaxBytes; got != want {
			t.Errorf("%s = %d, want %d", text, got, want)
		}
	}
	for _, bad := range []string{"0", "-1", "0MiB", "1.5GiB", "256 MiB", "256M", "256mib", "MiB", "9999999999TiB", "0x10", "1e6", "lots"} {
		refused(t, "cache: {max_bytes: "+bad+"}", "cache.max_bytes", "", nil)
	}
	for _, bad := range []string{"-1", "1.5", "010", "0x10", "1_000", "99999999999", "+1"} {
		refused(t, "signer: {concurrency: "+bad+"}", "signer.concurrency", "integer", nil)
	}
	refused(t, "signer: {queue: 0}", "signer.queue", "at least 1", nil)
	refused(t, "cache: {max_entries: 0}", "cache.max_entries", "at least 1", nil)
}

func TestRatesAreInTheLimitersFormat(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]configs.Rate{"10-S": "10-S", "120-M": "120-M", "1000-H": "1000-H", "5000-D": "5000-D", "1-m": "1-M"} {
		if got := theEnvironment(t, `rate_limits: {viewer: "`+text+`"}`, nil).RateLimits.Viewer; got != want {
			t.Errorf("%s = %s, want %s", text, got, want)
		}
	}
	for _, bad := range []string{"0-M", "-1-M", "M", "120", "120-", "120-W", "120M", "1.5-M", "120-MM", " 120-M", "120/m", "99999999999999-M", "none"} {
		for path, text := range map[string]string{
			"server.unresolved_rate_limit":             `server: {unresolved_rate_limit: "` + bad + `"}`,
			inEnvironment + "rate_limits.viewer":       environment(`rate_limits: {viewer: "` + bad + `"}`),
			inEnvironment + "rate_limits.ip":           environment(`rate_limits: {ip: "` + bad + `"}`),
			inEnvironment + "rate_limits.access_token": environment(`rate_limits: {access_token: "` + bad + `"}`),
		} {
			refused(t, text, path, "is not a rate", nil)
		}
	}
}

func TestHostsAreComparedInOneSpellingAndWrittenWithoutPort(t *testing.T) {
	t.Parallel()
	e := theEnvironment(t, `hosts: [Play.Acme.Example., localhost, 127.0.0.1, "::1", "[2001:DB8::1]", my_service]`, nil)
	if diff := cmp.Diff([]string{"play.acme.example", "localhost", "127.0.0.1", "::1", "2001:db8::1", "my_service"}, e.Hosts); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		"play.example:8080", "127.0.0.1:80", "[::1]:80", "https://play.example", "play.example/x", "*.example", "a b", "", "-a.example", "bücher.example", "a..b",
	} {
		refused(t, environment(`hosts: ["`+bad+`"]`), inEnvironment+"hosts[0]", "host", nil)
	}
}

func TestDeliveryBasesAreAbsoluteURLs(t *testing.T) {
	t.Parallel()
	e := theEnvironment(t, `delivery: {stream: "https://media.acme.example/", image: "https://cdn.example:8443/mux//", stats: "http://127.0.0.1:8081"}`, nil)
	want := playback.Delivery{
		Stream: "https://media.acme.example", Image: "https://cdn.example:8443/mux", License: "https://license.mux.com", Stats: "http://127.0.0.1:8081",
	}
	if diff := cmp.Diff(want, e.Delivery.Bases()); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		"stream.mux.com", "/stream", "//stream.mux.com", "ftp://stream.mux.com", "https://", "https:///x", "https:stream.mux.com", "https://a b", "https://x?y=1", "https://x?",
		"https://x#f", "https://x#", "https://user@x", "https://u:s3cret@x", "https://x:0", "https://x:99999", "https://x:", "https://-x", "https://x/%zz", "javascript:alert(1)",
	} {
		for _, host := range []string{"stream", "image", "license", "stats"} {
			problems := problemsOf(t, environment(`delivery: {`+host+`: "`+bad+`"}`), nil)
			if len(problems) != 1 || problems[0].Path != inEnvironment+"delivery."+host || strings.Contains(problems[0].Message, "s3cret") {
				t.Errorf("%s %q gives %q", host, bad, problems)
			}
		}
	}
}

func TestDefaultTTLIsAtMostMaxTTL(t *testing.T) {
	t.Parallel()
	refused(t, environment("token: {default_ttl: 2h, max_ttl: 1h}"), inEnvironment+"token.default_ttl", "max_ttl", nil)
	refused(t, environment("token: {max_ttl: 5m}"), inEnvironment+"token.default_ttl", "max_ttl", nil)
	if e := theEnvironment(t, "token: {default_ttl: 1h, max_ttl: 1h}", nil); e.Token.DefaultTTL != time.Hour {
		t.Errorf("default_ttl = %v", e.Token.DefaultTTL)
	}
}

func TestViewersNeedExactlyOneSourceOfKeys(t *testing.T) {
	t.Parallel()
	around := files{home + "/jwks.json": `{"keys":[]}`}
	const head = "viewers: [{issuer: https://idp.example, algorithms: [ES256], "
	loaded := mustLoad(t, environment(head+"jwks_file: jwks.json}]"), around)
	if v := loaded.Config.Organizations[0].Environments[0].Viewers[0]; v.JWKSFile != home+"/jwks.json" || loaded.Files[1] != home+"/jwks.json" {
		t.Errorf("viewer = %+v, files %q", v, loaded.Files)
	}
	refused(t, environment(head+"}]"), inEnvironment+"viewers[0].jwks_url", "is required, or jwks_file", around)
	refused(t, environment(head+"jwks_file: jwks.json, jwks_url: https://idp.example/j}]"), inEnvironment+"viewers[0].jwks_file", "one of them", around)
	refused(t, environment(head+"jwks_file: other.json}]"), inEnvironment+"viewers[0].jwks_file", "reading /etc/playgate/other.json", around)
	refused(t, environment("viewers: [{jwks_url: https://idp.example/j, algorithms: [ES256]}]"), inEnvironment+"viewers[0].issuer", "is required", nil)
	refused(t, environment("viewers: [{issuer: x, jwks_url: https://idp.example/j}]"), inEnvironment+"viewers[0].algorithms", "is required", nil)
}

func TestJWKSURLIsHTTPSUnlessLoopbackAndNeverLinkLocal(t *testing.T) {
	t.Parallel()
	in := func(url string) string {
		return environment(`viewers: [{issuer: https://idp.example, algorithms: [RS256], jwks_url: "` + url + `"}]`)
	}
	for _, good := range []string{
		"https://idp.example/jwks.json", "https://idp.example:8443/jwks.json?tenant=1", "https://10.0.0.1/jwks.json", "https://[2001:db8::1]/j",
		"http://localhost:8080/j", "http://127.0.0.1/j", "http://127.1.2.3:1/j", "http://[::1]:8080/j", "http://LOCALHOST/j", "http://[::ffff:127.0.0.1]/j",
	} {
		mustLoad(t, in(good), nil)
	}
	for _, bad := range []string{
		"http://idp.example/j", "http://10.0.0.1/j", "http://localhost.evil.example/j", "http://127.0.0.1.evil.example/j",
		"https://169.254.169.254/latest", "http://169.254.169.254/latest", "https://[fe80::1]/j", "https://[fe80::1%25eth0]/j", "https://[::ffff:169.254.169.254]/j",
		"https://2852039166/j", "https://0xa9fea9fe/j", "https://169.254.43518/j", "https://0xA9.0xFE.0xA9.0xFE/j",
		"jwks.json", "file:///etc/passwd", "https://", "https://user:s3cret@idp.example/j", "https://idp.example/j#x", "",
	} {
		problems := problemsOf(t, in(bad), nil)
		if len(problems) != 1 || problems[0].Path != inEnvironment+"viewers[0].jwks_url" || strings.Contains(problems[0].Message, "s3cret") {
			t.Errorf("jwks_url %q gives %q", bad, problems)
		}
	}
}

func TestAlgorithmsAreAsymmetricSignaturesOnly(t *testing.T) {
	t.Parallel()
	in := func(algorithm string) string {
		return environment(`viewers: [{issuer: https://idp.example, jwks_url: https://idp.example/j, algorithms: ["` + algorithm + `"]}]`)
	}
	for _, good := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		mustLoad(t, in(good), nil)
	}
	for _, bad := range []string{"none", "None", "HS256", "HS384", "HS512", "rs256", "ES256K", "RSA-OAEP", "*", ""} {
		refused(t, in(bad), inEnvironment+"viewers[0].algorithms[0]", "want one of", nil)
	}
}

func TestAliasMustBeGivenAndUniqueWhenThereAreTwo(t *testing.T) {
	t.Parallel()
	in := func(first, second string) string {
		const member = "jwks_url: https://idp.example/j, algorithms: [RS256]"
		return environment("viewers: [{issuer: https://a.example, " + member + first + "}, {issuer: https://b.example, " + member + second + "}]")
	}
	mustLoad(t, in(", alias: main", ", alias: other"), nil)
	refused(t, in("", ", alias: other"), inEnvironment+"viewers[0].alias", "when there are two", nil)
	refused(t, in(", alias: main", ""), inEnvironment+"viewers[1].alias", "when there are two", nil)
	refused(t, in(", alias: main", ", alias: main"), inEnvironment+"viewers[1].alias", "viewers[0].alias", nil)
	if problems := problemsOf(t, in("", ""), nil); len(problems) != 2 {
		t.Errorf("two without an alias give %q", problems)
	}
	if v := theEnvironment(t, viewer("alias: corporate"), nil).Viewers[0]; v.Alias != "corporate" {
		t.Errorf("alias = %s", v.Alias)
	}
}

func TestCookieAndQueryNames(t *testing.T) {
	t.Parallel()
	e := theEnvironment(t, "viewer_cookie: __Host-viewer\nviewer_query: viewer_token", nil)
	if e.ViewerCookie != "__Host-viewer" || e.ViewerQuery != "viewer_token" {
		t.Errorf("cookie %q, query %q", e.ViewerCookie, e.ViewerQuery)
	}
	for _, bad := range []string{"a b", "a=b", "a;b", "a,b", "(a)", "ä", "a/b"} {
		refused(t, environment("viewer_cookie: '"+bad+"'"), inEnvironment+"viewer_cookie", "cookie", nil)
	}
	reserved := []string{"token", "type", "min_ttl", "session_id", "Token", "playback_id", "asset_id", "live_stream_id"}
	for typ := range playback.TokenTypes {
		reserved = append(reserved, playback.ParamNames(typ)...)
	}
	for _, name := range reserved {
		refused(t, environment("viewer_query: "+name), inEnvironment+"viewer_query", "meaning of its own", nil)
	}
	for _, bad := range []string{"a b", "a&b", "a=b", "a%20", "a+b", "a[b]", "ä", strings.Repeat("a", 65)} {
		refused(t, environment("viewer_query: '"+bad+"'"), inEnvironment+"viewer_query", "no name", nil)
	}
}

func TestCORSOriginsAreOrigins(t *testing.T) {
	t.Parallel()
	e := theEnvironment(t, `cors_origins: ["https://www.acme.example", "HTTPS://Shop.Acme.Example:443", "http://localhost:3000", "http://x:80", "https://[::1]:8443", "capacitor://localhost"]`, nil)
	want := []string{"https://www.acme.example", "https://shop.acme.example", "http://localhost:3000", "http://x", "https://[::1]:8443", "capacitor://localhost"}
	if diff := cmp.Diff(want, e.CORSOrigins); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		"www.acme.example", "https://www.acme.example/", "https://www.acme.example/x", "https://", "null", "", "https://*.acme.example", "https://a b", "https://u@x",
		"https://x?y", "https://x#y", "https://x:0", "https://x:99999", "https://x:", "//x", "://x", "1http://x", "https://bücher.example",
	} {
		refused(t, environment(`cors_origins: ["`+bad+`"]`), inEnvironment+"cors_origins[0]", "origin", nil)
	}
	mustLoad(t, environment(`cors_origins: ["*"]`), nil)
	refused(t, environment("cors_origins: [\"*\"]\nviewer_cookie: session"), inEnvironment+"cors_origins[0]", "viewer_cookie", nil)
}

func TestAccessTokensKeepOnlyTheHashOfTheSecret(t *testing.T) {
	t.Parallel()
	in := func(members string) string { return environment("access_tokens: [{" + members + "}]") }
	at := inEnvironment + "access_tokens[0]"
	token := theEnvironment(t, "access_tokens: [{id: t1, secret_sha256: "+strings.ToUpper(hash)+", permissions: [data:read, data:write]}]", nil).AccessTokens[0]
	if token.SecretSHA256.Hex() != hash {
		t.Errorf("hash = %s, want %s", token.SecretSHA256.Hex(), hash)
	}
	refused(t, in("secret_sha256: "+hash), at+".id", "is required", nil)
	refused(t, in("id: t1"), at+".secret_sha256", "is required", nil)
	refused(t, in("id: t1, secret: s3cret, secret_sha256: "+hash), at+".secret", "unknown key", nil)
	refused(t, in("id: t1, secret_sha256: "+hash+", permissions: [video]"), at+".permissions[0]", "want one of", nil)
	refused(t, in("id: t1, secret_sha256: "+hash+", permissions: [video:read, '*']"), at+".permissions[1]", "want one of", nil)
	refused(t, in("id: 'a:b', secret_sha256: "+hash), at+".id", "match", nil)
	for _, bad := range []string{"s3cret", hash[:63], hash + "0", "g" + hash[1:], ""} {
		problems := problemsOf(t, in("id: t1, secret_sha256: '"+bad+"'"), nil)
		if len(problems) != 1 || problems[0].Path != at+".secret_sha256" || bad != "" && strings.Contains(problems.Error(), bad) {
			t.Errorf("secret_sha256 %q gives %q", bad, problems)
		}
	}
}

func TestEntriesThatNameOneAssetShareIt(t *testing.T) {
	t.Parallel()
	in := func(first, second string) string {
		return environment("playback_ids: [{id: P1, asset: {id: A1, " + first + "}}, {id: P2, asset: {id: A1, " + second + "}}]")
	}
	mustLoad(t, in("duration: 60", ""), nil)
	mustLoad(t, in("duration: 60", "duration: 60.0, status: ready"), nil)
	for _, c := range []struct{ member, first, second string }{
		{"duration", "60", "61"},
		{"status", "ready", "errored"},
		{"passthrough", "a", "b"},
		{"meta", "{t: a}", "{t: b}"},
		{"created_at", "2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"},
	} {
		refused(t, in(c.member+": "+c.first, c.member+": "+c.second), inEnvironment+"playback_ids[1].asset."+c.member, "given differently", nil)
	}
	refused(t, environment("playback_ids: [{id: P1, live_stream: {id: L, status: idle}}, {id: P2, live_stream: {id: L, status: active}}]"),
		inEnvironment+"playback_ids[1].live_stream.status", "given differently", nil)
	refused(t, environment("playback_ids: [{id: P1}, {id: P1}]"), inEnvironment+"playback_ids[1].id", "already playback_ids[0].id", nil)
	for _, bad := range []string{"-1", ".inf", ".nan", "-.inf", "0x10", "1e400", "12345678901234567890"} {
		refused(t, environment("playback_ids: [{id: P1, asset: {id: A1, duration: "+bad+"}}]"), inEnvironment+"playback_ids[0].asset.duration", "number", nil)
	}
	refused(t, environment("playback_ids: [{id: P1, asset: {id: A1, created_at: yesterday}}]"), inEnvironment+"playback_ids[0].asset.created_at", "RFC 3339", nil)
	for _, bad := range []string{"-1", "1795425054000"} { // milliseconds
		refused(t, environment("playback_ids: [{id: P1, asset: {id: A1, created_at: "+bad+"}}]"), inEnvironment+"playback_ids[0].asset.created_at", "Unix seconds are 0 to", nil)
	}
	refused(t, environment("playback_ids: [{id: P1, asset: {id: A1, meta: {l: [1, .inf]}}}]"), inEnvironment+"playback_ids[0].asset.meta.l[1]", "number", nil)
}

func TestCreatedAtIsRFC3339OrUnixSeconds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2027-01-01T00:00:00Z", "2027-01-01T01:00:00+01:00", "1798761600", `"1798761600"`, `"2027-01-01T00:00:00Z"`} {
		a := theEnvironment(t, "playback_ids: [{id: P1, asset: {id: A1, created_at: "+text+"}}]", nil).PlaybackIDs[0].Asset
		if !a.CreatedAt.Equal(time.Unix(1798761600, 0)) {
			t.Errorf("%s = %v", text, a.CreatedAt)
		}
	}
}

func TestEnvironmentAccessTokenIDsAndHostsAreUniqueInTheProcess(t *testing.T) {
	t.Parallel()
	in := func(first, second string) string {
		return "organizations: [{id: a, environments: [{id: e1, " + first + "}]}, {id: b, environments: [{id: e2, " + second + "}]}]"
	}
	const second = "organizations[1].environments[0]."
	token := "access_tokens: [{id: t1, secret_sha256: " + hash + "}]"
	idp := "viewers: [{issuer: https://idp.example, jwks_url: https://idp.example/j, algorithms: [RS256]}]"
	refused(t, "organizations: [{id: a, environments: [{id: e}]}, {id: b, environments: [{id: e}]}]", second+"id", "organizations[0].environments[0].id", nil)
	refused(t, "organizations: [{id: a}, {id: a}]", "organizations[1].id", "organizations[0].id", nil)
	refused(t, in(token, token), second+"access_tokens[0].id", inEnvironment+"access_tokens[0].id", nil)
	refused(t, in("hosts: [play.example]", "hosts: [PLAY.example.]"), second+"hosts[0]", inEnvironment+"hosts[0]", nil)
	refused(t, in("hosts: [play.example]", "hosts: [stream.play.example]"), second+"hosts[0]", inEnvironment+"hosts[0]", nil)
	refused(t, in("hosts: [image.play.example]", "hosts: [play.example]"), second+"hosts[0]", inEnvironment+"hosts[0]", nil)
	// The same (iss, aud) in two environments only if Host tells them apart.
	refused(t, in(idp, idp), second+"viewers[0]", inEnvironment+"viewers[0]", nil)
	refused(t, in(idp+", hosts: [x.example]", idp), second+"viewers[0]", "Host tells them apart", nil)
	mustLoad(t, in(idp+", hosts: [x.example]", idp+", hosts: [y.example]"), nil)
	mustLoad(t, in(idp, strings.Replace(idp, "algorithms", "audience: other, algorithms", 1)), nil)
}
