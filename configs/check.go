package configs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"net"
	"net/netip"
	"reflect"
	"slices"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// check does what decoding cannot: it looks at several members together, and
// outside the document.
func (l *loader) check() {
	l.checkServer()
	l.checkKeystore()
	l.checkStore()
	l.checkGeo()
	l.checkDecisions()
	l.checkSecretFiles(reflect.ValueOf(l.config).Elem(), "")
	for i := range l.config.Organizations {
		o := &l.config.Organizations[i]
		for j := range o.Environments {
			o.Environments[j].Organization = o.ID
		}
	}
	for path, e := range l.config.Environments() {
		if known := l.taken[path]; known != nil {
			l.takeOver(path, e, known)
			continue
		}
		l.current = &reading{files: map[string][sha256.Size]byte{}, exposures: map[string]exposure{}}
		before := len(l.report.warnings)
		l.checkEnvironment(path, e)
		l.checkElsewhere(path, e)
		l.checkSecretFiles(reflect.ValueOf(e).Elem(), path)
		l.current.warnings = slices.Clone(l.report.warnings[before:])
		l.readings[path], l.current = l.current, nil
	}
	for _, clash := range tenant.Clashes(l.config.Tenants()) {
		l.report.add(clash.Path, "%s", clash.Message)
	}
	l.warnProcess()
}

// checkElsewhere lets other rooms look at an environment.
func (l *loader) checkElsewhere(path string, e *Environment) {
	if l.source.Check == nil {
		return
	}
	found := l.source.Check(path, e, l.readFile)
	l.current.kept = found.Kept
	if found.Kept != nil {
		e.PlaybackIDs = nil
	}
	for _, p := range found.Problems {
		if p.Line == 0 {
			p.Line = l.report.line(p.Path)
		}
		l.report.problems = append(l.report.problems, p)
	}
	for _, w := range found.Warnings {
		if w.Line == 0 {
			w.Line = l.report.line(w.Path)
		}
		l.report.warnings = append(l.report.warnings, w)
	}
}

func (l *loader) checkServer() {
	s := &l.config.Server
	if s.Listen == "" {
		l.report.add("server.listen", "is required: a gateway that listens nowhere serves nobody")
	} else {
		l.checkAddress("server.listen", s.Listen)
	}
	if s.AdminListen != "" {
		l.checkAddress("server.admin_listen", s.AdminListen)
		if sameListener(s.Listen, s.AdminListen) {
			l.report.add("server.admin_listen", "%q takes the port of server.listen", s.AdminListen)
		}
	}
	l.checkTLS(&s.TLS)
}

func (l *loader) checkAddress(path, address string) {
	host, port, err := net.SplitHostPort(address)
	n, portErr := wholeNumber(port)
	if err != nil || portErr != nil || n > 65535 {
		l.report.add(path, "%q: want host:port or :port", clipped(address))
		return
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !tenant.ValidHost(tenant.NormalizeHost(host)) {
		l.report.add(path, "%q: %q is no host", clipped(address), clipped(host))
	}
}

// sameListener reports whether two addresses cannot both be listened on.
func sameListener(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || everywhere(hostA) || everywhere(hostB)
}

func everywhere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

func (l *loader) checkTLS(t *TLS) {
	switch {
	case t.CertFile == "" && t.KeyFile == "":
		return
	case t.CertFile == "":
		l.report.add("server.tls.cert_file", "is required with key_file")
		return
	case t.KeyFile == "":
		l.report.add("server.tls.key_file", "is required with cert_file")
		return
	}
	cert, okCert := l.read("server.tls.cert_file", t.CertFile, maxJWKS)
	key, okKey := l.read("server.tls.key_file", t.KeyFile, maxJWKS)
	if !okCert || !okKey {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		l.report.add("server.tls", "the pair cannot be used: %s", err)
	}
}

func (l *loader) checkKeystore() {
	l.checkVault()
	if l.config.Keystore.Driver == "file" && l.config.Keystore.File.Dir == "" {
		l.report.add("keystore.file.dir", "is required by the driver file")
	}
}

// secret reads a secret from its file. White space around it is no part of it:
// editors and `echo` add a newline.
func (l *loader) secret(at string, file Path) playback.Secret {
	if file == "" {
		l.report.add(at, "is required")
		return playback.Secret{}
	}
	data, ok := l.read(at, file, maxSecret)
	if !ok {
		return playback.Secret{}
	}
	text := bytes.TrimSpace(data)
	if len(text) == 0 {
		l.report.add(at, "%s is empty", file)
	}
	return playback.NewSecret(string(text))
}
