package configs

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/yamldoc"
)

// longTTL is beyond what a token should live: a leaked one works until exp.
const longTTL = 7 * 24 * time.Hour

// warnProcess warns of what is legal but dangerous for the whole process.
func (l *loader) warnProcess() {
	c, r := l.config, l.report
	if host, _, err := net.SplitHostPort(c.Server.AdminListen); err == nil && !isLoopback(host) {
		r.warn("server.admin_listen", "%q is reachable from other machines, without authentication", c.Server.AdminListen)
	}
	if c.Server.AdminPprof {
		r.warn("server.admin_pprof", "profiles show memory, and with it keys and tokens, to whoever reaches the admin address")
	}
	for i, p := range c.Server.TrustedProxies {
		if p.Bits() == 0 {
			r.warn(fmt.Sprintf("server.trusted_proxies[%d]", i), "%s believes the X-Forwarded-* headers of everyone: limits by IP and the choice of the environment by Host can be forged", p)
		}
	}
	switch c.Keystore.Driver {
	case "memory":
		r.warn("keystore.driver", "memory: the signing keys die with the process, and every process has others")
	case "vault":
		if plainHTTP(c.Keystore.Vault.Address) {
			r.warn("keystore.vault.address", "plain http: the signing keys and the Vault token cross the network in clear text")
		}
	}
	l.warnSharedMux()
	for range c.Environments() {
		return
	}
	r.warn("organizations", "there is no environment: nothing can be asked of this gateway")
}

// warnSharedMux warns of environments whose keys lie together at Mux, so that a
// key of the one is unknown, but there, for the other.
func (l *loader) warnSharedMux() {
	first := map[string]string{}
	for path, e := range l.config.Environments() {
		if !e.Mux.Enabled() {
			continue
		}
		access := e.Mux.BaseURL + " " + e.Mux.TokenID
		if other, shared := first[access]; shared {
			l.report.warn(path+".mux.token_id", "is that of %s, too: the keys of both lie together at Mux; give each an environment of its own there", other)
			continue
		}
		first[access] = path
	}
}

// warnEnvironment warns of what is legal but dangerous in one environment.
func (l *loader) warnEnvironment(path string, e *Environment) {
	r := l.report
	if len(e.Viewers) == 0 && !e.Anonymous && len(e.AccessTokens) == 0 {
		r.warn(path, "has neither viewers nor access_tokens and is not anonymous: nobody can ask it for a token")
	}
	for i := range e.AccessTokens {
		if len(e.AccessTokens[i].Permissions) == 0 {
			r.warn(fmt.Sprintf("%s.access_tokens[%d].permissions", path, i), "is empty: this access token may do nothing")
		}
	}
	for i, origin := range e.CORSOrigins {
		if origin == "*" {
			r.warn(fmt.Sprintf("%s.cors_origins[%d]", path, i), "\"*\" lets scripts of every site call")
		}
	}
	if e.Token.MaxTTL > longTTL {
		r.warn(path+".token.max_ttl", "%s is longer than %s: a leaked token works until it expires", playback.FormatDuration(e.Token.MaxTTL), playback.FormatDuration(longTTL))
	}
	l.warnPseudonymKey(path+".token.pseudonym_key_file", e.Token.PseudonymKey.Reveal())
	for _, d := range []struct{ name, base string }{
		{"stream", e.Delivery.Stream},
		{"image", e.Delivery.Image},
		{"license", e.Delivery.License},
		{"stats", e.Delivery.Stats},
	} {
		if plainHTTP(d.base) {
			r.warn(path+".delivery."+d.name, "plain http: tokens cross the network in clear text")
		}
	}
	l.warnKeys(path+".keys", e)
	l.warnRules(path, e)
}

// exampleKey marks the key that is shipped with configs/playgate.yaml.
const exampleKey = "replace-me"

func (l *loader) warnPseudonymKey(path, key string) {
	switch {
	case strings.Contains(key, exampleKey):
		l.report.warn(path, "holds the example's key, which everybody knows: pseudonyms can be undone")
	case key != "" && len(key) < 16:
		l.report.warn(path, "holds a key of %s, which can be guessed: want at least 16", playback.Count(len(key), "character", "characters"))
	}
}

// warnRules warns of rules that grant nothing, or everything to everybody. It
// only looks: what is wrong with the rules is for the policy room to say.
func (l *loader) warnRules(path string, e *Environment) {
	at := e.Policy.Path
	if at == "" {
		at = path + ".policy"
	}
	rules, known := l.rules[string(e.Policy.Document)]
	if !known { // many environments may have one document
		rules.conditions, rules.readable = conditionsOf(e.Policy.Document)
		l.rules[string(e.Policy.Document)] = rules
	}
	conditions := rules.conditions
	switch {
	case !rules.readable || l.report.hasFailed(at):
		return
	case len(conditions) == 0:
		l.report.warn(at, "there are no rules: every request is denied")
		return
	case !e.Anonymous:
		return
	}
	if e.RateLimits.IP == "" {
		l.report.warn(path+".rate_limits.ip", "there is no limit per IP, and anonymous viewers are admitted")
	}
	for _, when := range conditions {
		if strings.Contains(when, "viewer") {
			return
		}
	}
	l.report.warn(path+".anonymous", "true, and no rule looks at the viewer: whoever reaches the gateway gets what the rules grant")
}

// ruleConditions is what conditionsOf says of a document.
type ruleConditions struct {
	conditions []string
	readable   bool
}

// conditionsOf returns the conditions of a rules document; false if it cannot
// be read.
func conditionsOf(document []byte) ([]string, bool) {
	var doc struct {
		Rules []struct {
			When string `yaml:"when"`
		} `yaml:"rules"`
	}
	root, err := yamldoc.Parse(document)
	if err == nil && root != nil {
		err = root.Decode(&doc)
	}
	if err != nil {
		return nil, false
	}
	conditions := make([]string, 0, len(doc.Rules))
	for _, rule := range doc.Rules {
		conditions = append(conditions, rule.When)
	}
	return conditions, true
}
