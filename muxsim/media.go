package muxsim

import (
	"bytes"
	"embed"
	"fmt"
	"image/jpeg"
	"image/png"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Media names one of the embedded clips; several playback IDs may share one.
type Media string

// The embedded clips. The empty Media is Film.
const (
	Film    Media = "film"    // 24 s; 270p, 480p, 720p; audio.m4a
	Trailer Media = "trailer" // 12 s; 270p
)

// Duration returns the length of the clip, 0 for a clip that does not exist.
func (m Media) Duration() time.Duration {
	switch m {
	case Film, "":
		return 24 * time.Second
	case Trailer:
		return 12 * time.Second
	}
	return 0
}

// codecs is what generate.sh encodes; a test compares it with the init segments.
const codecs = "avc1.4d401f,mp4a.40.2"

// thumbnailStep is the time between two thumbnails, in seconds (generate.sh).
const thumbnailStep = 4

// The storyboard's grid (generate.sh): Mux makes 50 tiles of assets under 15 min.
const (
	tiles       = 50
	tileColumns = 5
	tileWidth   = 96
	tileHeight  = 54
)

//go:embed media/film media/trailer media/text
var mediaFiles embed.FS

// clip is one loaded Media.
type clip struct {
	name     Media
	seconds  float64
	rungs    []*rung           // by ascending height
	stills   int               // thumbnails, one every thumbnailStep seconds
	subtitle map[string][]byte // by track ID, which is its language
	files    fs.FS             // images and audio, read when asked for
}

// rung is one rendition: an init segment and media segments of equal length.
type rung struct {
	name      string // "480p"
	height    int
	width     int
	peak      int // bits per second of the largest segment
	average   int // bits per second
	seconds   []float64
	initial   []byte
	segments  [][]byte
	wholeFile []byte // init and all segments: a fragmented MP4
}

// tracks returns the subtitle tracks in the order of the playlists.
func tracks() []track {
	return []track{{id: "en", name: "English"}, {id: "de", name: "Deutsch"}}
}

type track struct{ id, name string }

func loadClip(name Media) (*clip, error) {
	sub, err := fs.Sub(mediaFiles, "media/"+string(name))
	if err != nil {
		return nil, fmt.Errorf("opening clip %s: %w", name, err)
	}
	c := &clip{name: name, seconds: name.Duration().Seconds(), files: sub, subtitle: map[string][]byte{}}
	for _, t := range tracks() {
		if c.subtitle[t.id], err = mediaFiles.ReadFile("media/text/" + t.id + ".vtt"); err != nil {
			return nil, fmt.Errorf("reading subtitles: %w", err)
		}
	}
	stills, err := fs.Glob(sub, "thumbnail/*.jpg")
	if err != nil {
		return nil, fmt.Errorf("listing thumbnails: %w", err)
	}
	c.stills = len(stills)
	playlists, err := fs.Glob(sub, "*/index.m3u8")
	if err != nil {
		return nil, fmt.Errorf("listing rungs: %w", err)
	}
	for _, p := range playlists {
		r, err := loadRung(sub, strings.TrimSuffix(p, "/index.m3u8"))
		if err != nil {
			return nil, err
		}
		c.rungs = append(c.rungs, r)
	}
	slices.SortFunc(c.rungs, func(a, b *rung) int { return a.height - b.height })
	return c, nil
}

func loadRung(files fs.FS, name string) (*rung, error) {
	height, err := strconv.Atoi(strings.TrimSuffix(name, "p"))
	if err != nil {
		return nil, fmt.Errorf("rung %s: %w", name, err)
	}
	r := &rung{name: name, height: height, width: (height*16/9 + 1) / 2 * 2}
	if r.initial, err = fs.ReadFile(files, name+"/init.mp4"); err != nil {
		return nil, fmt.Errorf("reading rung %s: %w", name, err)
	}
	playlist, err := fs.ReadFile(files, name+"/index.m3u8")
	if err != nil {
		return nil, fmt.Errorf("reading rung %s: %w", name, err)
	}
	var total, length float64
	r.wholeFile = slices.Clone(r.initial)
	for line := range strings.Lines(string(playlist)) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			if length, err = strconv.ParseFloat(strings.TrimSuffix(text, ","), 64); err != nil {
				return nil, fmt.Errorf("reading rung %s: %w", name, err)
			}
		}
		if line == "" || line[0] == '#' {
			continue
		}
		segment, err := fs.ReadFile(files, name+"/"+line)
		if err != nil {
			return nil, fmt.Errorf("reading rung %s: %w", name, err)
		}
		r.segments = append(r.segments, segment)
		r.seconds = append(r.seconds, length)
		r.wholeFile = append(r.wholeFile, segment...)
		r.peak = max(r.peak, int(float64(8*len(segment))/length))
		total += length
	}
	r.average = int(float64(8*len(r.wholeFile)) / total)
	return r, nil
}

// rung returns the rendition of the name.
func (c *clip) rung(name string) (*rung, bool) {
	for _, r := range c.rungs {
		if r.name == name {
			return r, true
		}
	}
	return nil, false
}

// static returns a static rendition: {resolution}.mp4, highest.mp4, audio.m4a.
func (c *clip) static(name string) ([]byte, bool) {
	if name == "audio.m4a" {
		data, err := fs.ReadFile(c.files, name)
		return data, err == nil
	}
	if name == "highest.mp4" {
		return c.rungs[len(c.rungs)-1].wholeFile, true
	}
	r, ok := c.rung(strings.TrimSuffix(name, ".mp4"))
	if !ok {
		return nil, false
	}
	return r.wholeFile, true
}

// image returns an image file as jpg, webp, gif or png; png is made from jpg.
func (c *clip) image(name, format string) ([]byte, error) {
	if format != "png" {
		return fs.ReadFile(c.files, name+"."+format)
	}
	data, err := fs.ReadFile(c.files, name+".jpg")
	if err != nil {
		return nil, err
	}
	picture, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", name, err)
	}
	return out.Bytes(), nil
}
