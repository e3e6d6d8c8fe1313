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
	Token compactToken `arg:"" help:"The token; white space, quotation marks and Bearer around it do not matter."`
}

// Run prints the header, every claim and what it means.
func (c *tokenInspectCommand) Run(p *Process) error {
	token, err := signer.Decode(string(c.Token))
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
	value, _ := token.Claim("aud")
	aud := text(value)
	for _, claim := range token.Claims {
		line(claim.Name, claim.Value, meaningOf(claim, aud, now))
	}
	for _, name := range [...]string{"sub", "aud", "exp"} { // the kid may stand in the header
		if _, there := token.Claim(name); !there {
			line(name, nil, "NOT there: Mux refuses the token")
		}
	}
	return table.Flush()
}

// algorithmMeaning says how the token is signed, and with which key.
func algorithmMeaning(token *signer.Decoded) string {
	const signed = "signed with RS256, "
	switch {
	case token.Algorithm != "RS256":
		return "NOT RS256: Mux refuses it"
	case token.HeaderKey == "" && token.ClaimKey == "":
		return signed + "but NO key is named, neither here nor by a claim kid: no verifier can choose one"
	case token.HeaderKey == "":
		return signed + "the key is named by the claim kid"
	case token.ClaimKey != "" && token.ClaimKey != token.HeaderKey:
		return signed + "key " + printable(token.HeaderKey) + ", but the claim kid names ANOTHER one"
	}
	return signed + "key " + printable(token.HeaderKey)
}

// meaningOf says what one claim does.
func meaningOf(claim signer.Claim, aud string, now time.Time) string {
	switch claim.Name {
	case "sub":
		return subjectMeaning(claim.Value, aud)
	case "kid":
		if text(claim.Value) == "" {
			return "NOT a key's ID: it names no key"
		}
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

// text returns a claim's value if it is a string, else "".
func text(value json.RawMessage) string {
	var s string
	_ = json.Unmarshal(value, &s) // another type reads as ""
	return s
}

// subjectMeaning says what sub names, which the audience decides.
func subjectMeaning(value json.RawMessage, aud string) string {
	if text(value) == "" {
		return "NOT an ID: the token is for nothing"
	}
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
	aud := text(value)
	if aud == "" {
		return "NOT a plain string: players refuse it"
	}
	for kind := range playback.TokenTypes {
		if kind.Aud() == aud {
			return "good for " + strings.ReplaceAll(kind.String(), "_", " ")
		}
	}
	return "an audience that Mux does not have"
}

// printable keeps a stranger's text from steering the terminal, and short.
func printable(s string) string {
	const most = 200
	s = visible(s)
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// visible replaces what could steer the terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x202e {
			return '?'
		}
		return r
	}, s)
}
