package configs

import (
	"fmt"
	"iter"
	"net/netip"
	"time"
)

// Config is the whole configuration, with defaults filled in, paths absolute
// and secrets read. The struct tags say everything that decoding, the
// environment, the reference and reload need to know of a member:
//
//	yaml      the name; members without one are filled by Load itself
//	default   the text that stands for a member that is left out
//	required  "true": the member must be given
//	enum      the values, by commas; later: values of a future version
//	min       the least integer
//	zero      "ok": the duration may be 0 (or ""), meaning none
//	restart   "true": a change takes a restart; "switch": only on or off does
//	grammar   what an ID must match, for the message
//	shown     the default as the reference shows it
//	doc       the meaning, for the reference
//
// The tag `later` of a blank member lists the members that a future version
// will have.
type Config struct {
	Server        Server         `yaml:"server" doc:"The HTTP servers."`
	Log           Log            `yaml:"log" doc:"What is logged, and how."`
	Keystore      Keystore       `yaml:"keystore" restart:"true" doc:"Where signing keys come from."`
	Signer        Signer         `yaml:"signer" restart:"true" doc:"How tokens are signed."`
	Cache         Cache          `yaml:"cache" restart:"true" doc:"What is remembered, and how much of it. The memory limit is that of the control group or GOMEMLIMIT, else what the machine has; the limits in force are logged at start."`
	Store         Store          `yaml:"store" restart:"true" doc:"Where durable records are kept."`
	Geo           Geo            `yaml:"geo" doc:"Where viewers are."`
	Decisions     Decisions      `yaml:"decisions" restart:"true" doc:"The decision log."`
	Organizations []Organization `yaml:"organizations" doc:"The tenants."`
	_             struct{}       `later:"redis"`
}

// Server configures the HTTP servers.
type Server struct {
	Listen              string         `yaml:"listen" default:":8080" restart:"true" doc:"Address of viewers and backends, \"host:port\"; without a host it is dual-stack."`
	TLS                 TLS            `yaml:"tls" restart:"switch" doc:"Serve HTTPS with this pair. Both or neither; a changed file is read again on reload."`
	AdminListen         string         `yaml:"admin_listen" default:"127.0.0.1:9090" restart:"true" doc:"Address of /livez, /readyz and /metrics; \"\" switches it off."`
	AdminPprof          bool           `yaml:"admin_pprof" default:"false" restart:"true" doc:"Serve /debug/pprof on the admin address."`
	MaxConnections      int            `yaml:"max_connections" default:"0" min:"0" restart:"true" doc:"The most connections at a time; then those whose clients have been waited for the longest are closed for new ones. 0: three quarters of RLIMIT_NOFILE, as far as three eighths of the memory limit have room for them (48 KiB each)."`
	MaxConnectionsPerIP int            `yaml:"max_connections_per_ip" default:"0" min:"0" restart:"true" doc:"The most connections of one IPv4 address or IPv6 /64, trusted_proxies aside. 0: a quarter of max_connections."`
	TrustedProxies      []netip.Prefix `yaml:"trusted_proxies" doc:"CIDRs whose X-Forwarded-For, -Host and -Proto are believed, walked from the right."`
	DrainDelay          time.Duration  `yaml:"drain_delay" default:"5s" zero:"ok" doc:"How long to go on serving after SIGTERM while /readyz says no; 0 means none."`
	UnresolvedRateLimit Rate           `yaml:"unresolved_rate_limit" default:"600-M" doc:"Limit per IP for requests that name no environment; \"\" means none."`
}

// TLS names a certificate and its key.
type TLS struct {
	CertFile Path `yaml:"cert_file" default:"" doc:"PEM file of the certificate chain."`
	KeyFile  Path `yaml:"key_file" secret:"true" default:"" doc:"PEM file of its private key."`
}

// Enabled reports whether HTTPS is served.
func (t TLS) Enabled() bool { return t.CertFile != "" && t.KeyFile != "" }

// Log configures the log.
type Log struct {
	Level  string    `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"The least severity that is logged."`
	Format string    `yaml:"format" default:"json" enum:"json,text" restart:"true" doc:"How lines are written."`
	Access AccessLog `yaml:"access" default:"1/100" doc:"Which requests are logged: all, errors (or \"\"), or one in N as 1/N. Refusals and errors always are; of those of one code and environment beyond 50 a second, one line has the number."`
}

// Keystore configures where signing keys come from.
type Keystore struct {
	Driver string    `yaml:"driver" default:"file" enum:"memory,file,vault" doc:"memory: made at start, lost at stop."`
	File   FileStore `yaml:"file" doc:"Used by the driver file."`
	Vault  Vault     `yaml:"vault" doc:"Used by the driver vault."`
}

// FileStore configures keys in files.
type FileStore struct {
	Dir               Path `yaml:"dir" default:"keys" doc:"Directory of <environment>/<key id>.pem, with an optional state beside it, <key id>.json."`
	StrictPermissions bool `yaml:"strict_permissions" default:"false" doc:"Refuse keys, and files with secrets that other members name, that their group or every user may read, of which there is a warning otherwise. What these may write to or replace is always refused."`
}

// Signer configures signing.
type Signer struct {
	Backend     string `yaml:"backend" default:"auto" enum:"auto,multibuffer,openssl,go" doc:"auto: the fastest on this machine, measured at start. multibuffer: eight signatures at a time, on processors with AVX-512 IFMA. openssl: libcrypto, loaded at run time. go: crypto/rsa."`
	Concurrency int    `yaml:"concurrency" default:"0" min:"0" doc:"Signatures at a time; 0 means the number of CPUs."`
	Queue       int    `yaml:"queue" default:"1024" min:"1" doc:"Signatures that may wait; beyond it callers get 503. One caller holds at most an eighth."`
}

// Cache configures what is remembered.
type Cache struct {
	MaxEntries    int  `yaml:"max_entries" default:"100000" min:"1" doc:"The most tokens kept."`
	MaxBytes      Size `yaml:"max_bytes" default:"256MiB" doc:"The most memory they may take. Where the default stands it is an eighth of the memory limit, if that is less."`
	MaxIdentities int  `yaml:"max_identities" default:"0" min:"0" doc:"The most viewer tokens remembered as verified. 0: 100000, as far as an eighth of the memory limit has room for them (5 KiB each)."`
	MaxUnknownIDs int  `yaml:"max_unknown_ids" default:"0" min:"0" doc:"The most playback IDs of each environment that are remembered as unknown to Mux (catalog.unknown: lookup). 0: 10000, as far as a sixty-fourth of the memory limit has room for them (512 bytes each)."`
}

// Environments returns every environment with its YAML path, such as
// "organizations[0].environments[1]", in the order of the file.
func (c *Config) Environments() iter.Seq2[string, *Environment] {
	return func(yield func(string, *Environment) bool) {
		for i := range c.Organizations {
			o := &c.Organizations[i]
			for j := range o.Environments {
				if !yield(fmt.Sprintf("organizations[%d].environments[%d]", i, j), &o.Environments[j]) {
					return
				}
			}
		}
	}
}
