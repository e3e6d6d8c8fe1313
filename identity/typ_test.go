package identity_test

import (
	"fmt"
	"testing"

	"github.com/playgate/playgate/identity"
)

// TestTypMayBePinned: an ID token, which the same issuer makes for the same
// client, is then no access token (RFC 9068 §5).
func TestTypMayBePinned(t *testing.T) {
	t.Parallel()
	p := provider(t, noon, "ES256")
	payload := fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"u1","iat":%d,"exp":%d}`, issuerURL, audience, noon().Unix(), noon().Unix()+60)
	for _, c := range []struct {
		pinned []string
		typ    string // of the header, as JSON; "" is none
		ok     bool
	}{
		{nil, "", true},
		{nil, `"anything"`, true},
		{[]string{"at+jwt"}, `"at+jwt"`, true},
		{[]string{"at+jwt"}, `"AT+JWT"`, true},
		{[]string{"at+jwt"}, `"application/at+jwt"`, true},
		{[]string{"application/AT+jwt"}, `"at+jwt"`, true},
		{[]string{"at+jwt"}, `"JWT"`, false},
		{[]string{"at+jwt"}, "", false},
		{[]string{"at+jwt"}, `""`, false},
		{[]string{"at+jwt"}, `"text/at+jwt"`, false},
		{[]string{"at+jwt"}, `"application/application/at+jwt"`, false},
		{[]string{"at+jwt", "JWT"}, `"jwt"`, true},
	} {
		issuer := trust(prod)
		issuer.Types = c.pinned
		v := start(t, identity.Config{Now: noon, InsecureTransport: network{host: p}}, issuer)
		header := fmt.Sprintf(`{"alg":"ES256","kid":%q}`, p.KeyIDs()[0])
		if c.typ != "" {
			header = fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":%s}`, p.KeyIDs()[0], c.typ)
		}
		_, err := verify(v, compact(t, p, header, payload), prod)
		if code := codeOf(t, err); c.ok != (code == "") || !c.ok && code != invalid {
			t.Errorf("typ %s where %q is pinned: %v", c.typ, c.pinned, err)
		}
	}
}
