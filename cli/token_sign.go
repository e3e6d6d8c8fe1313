package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/playback"
)

// tokenCommands groups what can be done with playback tokens.
type tokenCommands struct {
	Sign    tokenSignCommand    `cmd:"" help:"Sign a token offline with the active key; prints the token alone."`
	Inspect tokenInspectCommand `cmd:"" help:"Decode a token and say in plain words what it claims; verifies nothing."`
	Verify  tokenVerifyCommand  `cmd:"" help:"Verify a token and say exactly what is wrong with it."`
}

type tokenSignCommand struct {
	PlaybackID  string      `arg:"" name:"playback-id" help:"The playback ID; of stats_video, the Mux Data video ID."`
	Config      string      `required:"" placeholder:"FILE" help:"Configuration file."`
	Environment string      `required:"" help:"Environment whose key signs."`
	Type        string      `default:"video" help:"video, thumbnail, gif, storyboard, drm_license, stats, stats_asset, stats_live_stream, stats_video."`
	TTL         string      `name:"ttl" placeholder:"1h" help:"Lifetime, capped at token.max_ttl; default token.default_ttl."`
	Param       []paramFlag `placeholder:"K=V" sep:"none" help:"A parameter, such as max_resolution=720p; may be repeated, each parameter once."`
}

// paramFlag is one --param.
type paramFlag struct{ name, value string }

// UnmarshalText reads K=V; the value is taken as it was typed.
func (p *paramFlag) UnmarshalText(text []byte) error {
	name, value, ok := strings.Cut(string(text), "=")
	if !ok || name == "" {
		return fmt.Errorf("want K=V, such as max_resolution=720p, not %.80q", text)
	}
	p.name, p.value = name, value
	return nil
}

// Run prints the token.
func (c *tokenSignCommand) Run(p *Process) error {
	req, err := c.request()
	if err != nil {
		return err
	}
	ctx := context.Background()
	offline, err := app.OpenOffline(ctx, c.Config, p.Environ, req.Environment)
	if err != nil {
		return err
	}
	token, err := offline.Sign(ctx, req, time.Now())
	if err != nil {
		return err
	}
	warnOfKeys(p, offline, req.Environment)
	_, err = fmt.Fprintln(p.Stdout, token.Reveal())
	return err
}

// warnOfKeys says on standard error what is wrong with an environment's keys.
func warnOfKeys(p *Process, offline *app.Offline, env playback.EnvironmentID) {
	for _, problem := range offline.Problems(env) {
		_, _ = fmt.Fprintf(p.Stderr, "warning: signing key %s\n", visible(problem.String()))
	}
}

// request validates what was typed.
func (c *tokenSignCommand) request() (app.SignRequest, error) {
	req := app.SignRequest{Environment: playback.EnvironmentID(c.Environment)}
	kind, ok := playback.ParseTokenType(c.Type)
	if !ok {
		return req, fmt.Errorf("--type: there is no token type %.80q%s", c.Type, playback.DidYouMean(c.Type, playback.TokenTypeNames()))
	}
	req.Type = kind
	if err := c.setID(&req); err != nil {
		return req, err
	}
	if c.TTL != "" {
		ttl, err := playback.ParseDuration(c.TTL)
		if err != nil || ttl == 0 {
			return req, fmt.Errorf("--ttl: %.80q is not a lifetime: want integer seconds above 0, or 90s, 15m, 1h, 7d", c.TTL)
		}
		req.TTL = ttl
	}
	given := map[string]bool{}
	for _, p := range c.Param {
		if given[p.name] {
			return req, fmt.Errorf("--param: %.80q is given twice", p.name)
		}
		given[p.name] = true
		param, err := playback.ParseParam(kind, p.name, p.value)
		if err != nil {
			return req, fmt.Errorf("--param: %s", err.Message)
		}
		req.Params = req.Params.With(param)
	}
	if err := playback.CheckParams(kind, req.Params); err != nil {
		return req, fmt.Errorf("--param: %s", err.Message)
	}
	return req, nil
}

// setID sets what the token is for, which is a video ID for stats_video alone.
func (c *tokenSignCommand) setID(req *app.SignRequest) error {
	if req.Type == playback.StatsVideo {
		req.VideoID = playback.VideoID(c.PlaybackID)
		if !req.VideoID.Valid() {
			return fmt.Errorf("%.80q is not a video ID: want 1 to 255 visible ASCII characters", c.PlaybackID)
		}
		return nil
	}
	req.PlaybackID = playback.ID(c.PlaybackID)
	if !req.PlaybackID.Valid() {
		return fmt.Errorf("%.80q is not a playback ID: want 1 to 255 letters and digits", c.PlaybackID)
	}
	return nil
}
