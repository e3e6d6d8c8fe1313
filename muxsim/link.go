package muxsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"time"
)

// publicLinks is how long the rendition URLs of a public playback ID live;
// those of a signed one end with the token (see doc.go).
const publicLinks = 6 * time.Hour

// linker makes and checks the URLs of rendition playlists and segments. Like
// Mux's they carry no JWT but a signature of their own (mux.md §1.7), so a
// fresh token takes effect only through a new multivariant playlist.
type linker struct {
	secret []byte
	now    func() time.Time
}

// options travel in a rendition playlist's URL: what the manifest's token
// decided about its content.
type options struct {
	expires int64 // Unix seconds
	from    int   // first segment of a clip, VOD
	to      int   // one past the last segment, VOD; 0: all
	start   int64 // program_start_time of a live stream, 0 none
	end     int64 // program_end_time, 0 none
	noPDT   bool
	cdn     string // "a" or, for a redundant stream, "b"
}

func (o options) values() url.Values {
	v := url.Values{"expires": {strconv.FormatInt(o.expires, 10)}}
	set := func(name string, n int64) {
		if n != 0 {
			v.Set(name, strconv.FormatInt(n, 10))
		}
	}
	set("from", int64(o.from))
	set("to", int64(o.to))
	set("start", o.start)
	set("end", o.end)
	if o.noPDT {
		v.Set("pdt", "0")
	}
	if o.cdn != "" {
		v.Set("cdn", o.cdn)
	}
	return v
}

// optionsOf reads values whose signature was checked.
func optionsOf(v url.Values) options {
	integer := func(name string) int64 {
		n, err := strconv.ParseInt(v.Get(name), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return options{
		expires: integer("expires"), from: int(integer("from")), to: int(integer("to")),
		start: integer("start"), end: integer("end"), noPDT: v.Get("pdt") == "0", cdn: v.Get("cdn"),
	}
}

// link signs path and options into a path-absolute URL.
func (l *linker) link(path string, o options) string {
	v := o.values()
	v.Set("signature", l.signature(path, v))
	return path + "?" + v.Encode()
}

// signature has the shape seen in real URLs: base64 of the hexadecimal time,
// an underscore and 64 hexadecimal digits.
func (l *linker) signature(path string, v url.Values) string {
	mac := hmac.New(sha256.New, l.secret)
	mac.Write([]byte(path + "?" + v.Encode()))
	expires, err := strconv.ParseInt(v.Get("expires"), 10, 64)
	if err != nil {
		expires = 0
	}
	return base64.StdEncoding.EncodeToString([]byte(strconv.FormatInt(expires, 16) + "_" + hex.EncodeToString(mac.Sum(nil))))
}

func (l *linker) check(path string, query url.Values) (options, *refusal) {
	signatures := query["signature"]
	if len(signatures) != 1 {
		return options{}, refuse(LinkInvalid, "The URL has no signature of this edge.")
	}
	rest := url.Values{}
	for name, values := range query {
		if name != "signature" {
			rest[name] = values
		}
	}
	if !hmac.Equal([]byte(signatures[0]), []byte(l.signature(path, rest))) {
		return options{}, refuse(LinkInvalid, "The URL's signature is not this edge's.")
	}
	o := optionsOf(rest)
	if l.now().Unix() >= o.expires {
		return options{}, refuse(LinkExpired, "The URL expired; ask for the multivariant playlist again with a fresh token.")
	}
	return o, nil
}

func playlistPath(id ID, name string) string {
	return playlistPrefix + string(id) + "/" + name + ".m3u8"
}

func chunkPath(id ID, name, file string) string {
	return chunkPrefix + string(id) + "/" + name + "/" + file
}
