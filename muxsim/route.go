package muxsim

import (
	"slices"
	"strconv"
	"strings"
)

// kind is a path layout.
type kind uint8

const (
	manifest kind = iota // /{id}.m3u8
	static               // /{id}/{rendition}.mp4, /{id}/audio.m4a
	text                 // /{id}/text/{track}.vtt|.txt
	thumbnail
	animated
	storyboard
	license
	certificate
	counts
	health
	playlist // the edge's own: a rendition playlist
	chunk    // the edge's own: a segment
)

// The edge's own paths. A hyphen cannot occur in a playback ID, so they never
// collide with /{id}/….
const (
	playlistPrefix = "/manifest-sim/"
	chunkPrefix    = "/chunk-sim/v1/"
)

// route is a parsed path.
type route struct {
	kind   kind
	id     ID     // "" for counts and health
	name   string // file, track, DRM system, or rung
	format string // the file's extension
	number int    // chunk: the segment's number; -1 is the init segment
}

// drm reports whether the route serves DRM, whose statuses differ.
func (r route) drm() bool { return r.kind == license || r.kind == certificate }

// stats reports whether the route is on the stats host.
func (r route) stats() bool { return r.kind == counts || r.kind == health }

// aud returns the audience codes that the layout accepts (mux.md §1.3).
func (r route) aud() []string {
	switch r.kind {
	case manifest, static, text, playlist, chunk:
		return []string{"v"}
	case thumbnail:
		return []string{"t"}
	case animated:
		return []string{"g"}
	case storyboard:
		return []string{"s"}
	case license, certificate:
		return []string{"d"}
	case counts:
		return []string{"video_id", "asset_id", "playback_id", "live_stream_id"}
	case health:
		return []string{"live_stream_id"}
	}
	return nil
}

// parsePath reads a path; percent-encoding is refused by the caller, since no
// layout needs it.
func parsePath(path string) (route, bool) {
	switch path {
	case "/counts":
		return route{kind: counts}, true
	case "/live-stream-health":
		return route{kind: health}, true
	}
	if rest, ok := strings.CutPrefix(path, playlistPrefix); ok {
		return parsePlaylist(rest)
	}
	if rest, ok := strings.CutPrefix(path, chunkPrefix); ok {
		return parseChunk(rest)
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	r, ok := parseParts(parts)
	return r, ok && strings.HasPrefix(path, "/") && r.id.Valid()
}

func parseParts(parts []string) (route, bool) {
	switch len(parts) {
	case 1:
		id, ok := strings.CutSuffix(parts[0], ".m3u8")
		return route{kind: manifest, id: ID(id)}, ok
	case 2:
		return parseFile(ID(parts[0]), parts[1])
	case 3:
		return parseThree(parts[0], parts[1], parts[2])
	}
	return route{}, false
}

func parseThree(a, b, c string) (route, bool) {
	switch {
	case a == "license" && slices.Contains([]string{"widevine", "fairplay", "playready"}, b):
		return route{kind: license, id: ID(c), name: b}, true
	case a == "appcert" && b == "fairplay":
		return route{kind: certificate, id: ID(c), name: b}, true
	case b == "text":
		track, format, _ := strings.Cut(c, ".")
		return route{kind: text, id: ID(a), name: track, format: format}, format == "vtt" || format == "txt"
	}
	return route{}, false
}

func parseFile(id ID, file string) (route, bool) {
	name, format, ok := strings.Cut(file, ".")
	r := route{kind: static, id: id, name: file, format: format}
	if !ok || name == "" {
		return r, false
	}
	images := []string{"jpg", "png", "webp"}
	switch name {
	case "thumbnail":
		r.kind = thumbnail
		return r, slices.Contains(images, format)
	case "animated":
		r.kind = animated
		return r, format == "gif" || format == "webp"
	case "storyboard":
		r.kind = storyboard
		return r, slices.Contains(images, format) || format == "vtt" || format == "json"
	}
	return r, format == "mp4" || file == "audio.m4a"
}

// parsePlaylist reads {id}/{rung}.m3u8.
func parsePlaylist(rest string) (route, bool) {
	id, file, _ := strings.Cut(rest, "/")
	name, ok := strings.CutSuffix(file, ".m3u8")
	r := route{kind: playlist, id: ID(id), name: name}
	return r, ok && r.id.Valid()
}

// parseChunk reads {id}/{rung}/init.mp4, {id}/{rung}/{number}.m4s and
// {id}/{track}/text.vtt.
func parseChunk(rest string) (route, bool) {
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return route{}, false
	}
	r := route{kind: chunk, id: ID(parts[0]), name: parts[1], number: -1}
	if parts[2] == "init.mp4" {
		r.format = "mp4"
		return r, r.id.Valid()
	}
	if parts[2] == "text.vtt" {
		r.format = "vtt"
		return r, r.id.Valid()
	}
	number, ok := strings.CutSuffix(parts[2], ".m4s")
	n, err := strconv.ParseUint(number, 10, 31)
	r.number, r.format = int(n), "m4s"
	return r, ok && err == nil && r.id.Valid()
}
