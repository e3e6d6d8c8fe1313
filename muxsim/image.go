package muxsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// still returns the thumbnail of the token's time: the middle by default.
func (s *Sim) still(a *admission) ([]byte, error) {
	c := a.object.clip
	at := a.params.number("time", c.seconds/2)
	if a.object.live() {
		at = float64((s.now().Unix() - epoch().Unix()) % int64(c.seconds) / 10 * 10) // refreshed every 10 s
	}
	return c.image(fmt.Sprintf("thumbnail/%02d", min(int(at)/thumbnailStep, c.stills-1)), a.route.format)
}

// tile is one picture of a storyboard, in Mux's storyboard.json.
type tile struct {
	Start float64 `json:"start"`
	X     int     `json:"x"`
	Y     int     `json:"y"`
}

// storyboardTiles returns the tiles of the clip that the parameters cut out,
// on the clip's own timeline, and the clip's length in seconds.
func (a *admission) storyboardTiles() ([]tile, float64) {
	total := a.object.clip.seconds
	start := a.params.number("asset_start_time", 0)
	end := min(a.params.number("asset_end_time", total), total)
	step := total / tiles
	var out []tile
	for i := range tiles {
		from := float64(i) * step
		if from+step > start && from < end {
			out = append(out, tile{max(0, from-start), i % tileColumns * tileWidth, i / tileColumns * tileHeight})
		}
	}
	return out, end - start
}

// storyboardImage is the absolute URL of the picture, opened by the token that
// opened its index.
func (a *admission) storyboardImage(r *http.Request) string {
	format := a.params["format"]
	if format == "" {
		format = "jpg"
	}
	u := url.URL{Scheme: "http", Host: r.Host, Path: "/" + string(a.object.ID) + "/storyboard." + format}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	if token := r.URL.Query().Get("token"); token != "" {
		u.RawQuery = url.Values{"token": {token}}.Encode()
	}
	return u.String()
}

// storyboardVTT is WebVTT with a media fragment per cue.
func (a *admission) storyboardVTT(r *http.Request) []byte {
	all, length := a.storyboardTiles()
	image := a.storyboardImage(r)
	var b strings.Builder
	b.WriteString("WEBVTT\n")
	for i, t := range all {
		end := length
		if i+1 < len(all) {
			end = all[i+1].Start
		}
		fmt.Fprintf(&b, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", stamp(t.Start), stamp(end), image, t.X, t.Y, tileWidth, tileHeight)
	}
	return []byte(b.String())
}

func (a *admission) storyboardJSON(r *http.Request) ([]byte, error) {
	all, length := a.storyboardTiles()
	return json.Marshal(map[string]any{
		"url": a.storyboardImage(r), "tile_width": tileWidth, "tile_height": tileHeight, "duration": length, "tiles": all,
	})
}

// stamp writes a WebVTT timestamp.
func stamp(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	return fmt.Sprintf("%02d:%02d:%06.3f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
}
