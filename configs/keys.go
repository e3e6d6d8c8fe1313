package configs

import (
	"strings"
	"time"

	"github.com/playgate/playgate/playback"
)

func (l *loader) checkMux(path string, m *Mux) {
	l.checkBase(path+".base_url", &m.BaseURL)
	switch {
	case m.TokenID == "" && m.TokenSecretFile == "":
		return
	case m.TokenID == "":
		l.report.add(path+".token_id", "is required with token_secret_file")
		return
	case m.TokenSecretFile == "":
		l.report.add(path+".token_secret_file", "is required with token_id")
		return
	}
	if strings.Contains(m.TokenID, ":") {
		l.report.add(path+".token_id", "has a colon, which an access token's ID cannot have: is it ID and secret in one?")
	}
	m.TokenSecret = l.secret(path+".token_secret_file", m.TokenSecretFile)
	if plainHTTP(m.BaseURL) {
		l.report.warn(path+".base_url", "plain http: the access token and new signing keys cross the network in clear text")
	}
}

// warnKeys warns of lives of keys that end badly.
func (l *loader) warnKeys(path string, e *Environment) {
	if looked := l.lookInterval(); e.Keys.PrepareFor < 2*looked {
		l.report.warn(path+".prepare_for", "%s is shorter than two looks at the keys (%s): a replica may sign with a key that another does not publish yet",
			playback.FormatDuration(e.Keys.PrepareFor), playback.FormatDuration(looked))
	}
	if e.Keys.RotateEvery == 0 {
		return
	}
	if e.Keys.RotateEvery < e.Keys.PrepareFor {
		l.report.warn(path+".rotate_every", "%s is shorter than prepare_for, %s, so keys are replaced only that often", playback.FormatDuration(e.Keys.RotateEvery), playback.FormatDuration(e.Keys.PrepareFor))
	}
	if !e.Mux.Enabled() && !e.Keys.Local {
		l.report.warn(path+".rotate_every", "there is no mux.token_id to ask Mux for keys with, so no key is replaced: Mux would refuse what a local one signs (keys.local: true is for other verifiers)")
	}
}

// lookInterval returns how often the keys are looked at.
func (l *loader) lookInterval() time.Duration {
	if k := &l.config.Keystore; k.Driver == "vault" {
		return k.Vault.RefreshInterval
	}
	return FileInterval
}

// FileInterval is how often key files are looked at: a listing and, where
// something changed, a read.
const FileInterval = 2 * time.Second
