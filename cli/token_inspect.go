package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signer"
)

type tokenInspectCommand struct {
	Token string `arg:"" help:"The token."`
}

// Run prints the header, every claim and what it means.
func (c *tokenInspectCommand) Run(p *Process) error {
	token, err := signer.Decode(c.Token)
	if err != nil {
		return err
	}
	if err := describe(p.Stdout, token, time.Now()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.Stdout, "Decoded only: playgate token verify checks the signature.")
	return err
}

// describe writes a plain-language reading of a token, verified or not.
func describe(w io.Writer, token *signer.Decoded, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := func(name string, value json.RawMessage, meaning string) {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", printable(name), printable(string(value)), meaning)
	}
	_, _ = fmt.Fprintf(table, "header\t%s\t%s\n", printable(string(token.Header)), algorithmMeaning(token))
	var aud string
	for _, claim := range token.Claims {
		if claim.Name == "aud" {
			_ = json.Unmarshal(claim.Value, &aud) // another type reads as ""
		}
	}
	for _, claim := range token.Claims {
		line(claim.Name, claim.Value, meaningOf(claim, aud, now))
	}
	return table.Flush()
}

func algorithmMeaning(token *signer.Decoded) string {
	if token.Algorithm != "RS256" {
		return "NOT RS256: Mux refuses it"
	}
	if token.HeaderKey != "" {
		return "signed with RS256, key " + printable(token.HeaderKey)
	}
	return "signed with RS256, the key is named by the claim kid"
}

// meaningOf says what one claim does.
func meaningOf(claim signer.Claim, aud string, now time.Time) string {
	switch claim.Name {
	case "sub":
		return subjectMeaning(aud)
	case "kid":
		return "the signing key that verifies it"
	case "aud":
		return audienceMeaning(claim.Value)
	case "exp":
		return expiryMeaning(claim.Value, now)
	case "playback_restriction_id":
		return "Mux also checks this restriction (referrer domains, user agents)"
	case "custom":
		return "data of the application's own; Mux ignores it"
	case "nbf", "iat", "iss", "jti":
		return "not part of a Mux token; how Mux treats it is not documented"
	}
	for kind := range playback.TokenTypes {
		if kind.Aud() == aud && playback.KnownParam(kind, claim.Name) {
			return "a parameter of " + kind.String() + " tokens, fixed by the token"
		}
	}
	return "unknown to Mux for this audience"
}

// subjectMeaning says what sub names, which the audience decides.
func subjectMeaning(aud string) string {
	switch aud {
	case playback.StatsAsset.Aud():
		return "the asset whose viewers are counted"
	case playback.StatsLiveStream.Aud():
		return "the live stream whose viewers are counted, or whose health is asked for"
	case playback.StatsVideo.Aud():
		return "the Mux Data video ID whose viewers are counted"
	case playback.Stats.Aud():
		return "the playback ID whose viewers are counted"
	}
	return "the playback ID that it is for"
}

func audienceMeaning(value json.RawMessage) string {
	var aud string
	if err := json.Unmarshal(value, &aud); err != nil {
		return "NOT a plain string: players refuse it"
	}
	for kind := range playback.TokenTypes {
		if kind.Aud() == aud {
			return "good for " + strings.ReplaceAll(kind.String(), "_", " ")
		}
	}
	return "an audience that Mux does not have"
}

func expiryMeaning(value json.RawMessage, now time.Time) string {
	var seconds int64
	if err := json.Unmarshal(value, &seconds); err != nil {
		return "NOT a number of Unix seconds: players take the token for expired"
	}
	at := time.Unix(seconds, 0).UTC()
	if left := at.Sub(now).Truncate(time.Second); left > 0 {
		return "expires " + at.Format(time.RFC3339) + ", in " + left.String()
	}
	return "EXPIRED " + at.Format(time.RFC3339) + ", " + now.Sub(at).Truncate(time.Second).String() + " ago"
}

// printable keeps a stranger's text from steering the terminal.
func printable(s string) string {
	const most = 200
	var b strings.Builder
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x202e {
			r = '?'
		}
		if b.Len() > most {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
