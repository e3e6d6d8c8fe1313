package muxsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ServeHTTP answers like Mux's four delivery hosts and, below /system/v1/ and
// /video/v1/, like its API.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, apiPrefix) || strings.HasPrefix(r.URL.Path, videoPrefix) {
		s.serveAPI(w, r)
		return
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*") // players are on other origins
	header.Set("Access-Control-Expose-Headers", "*")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
		header.Set("Access-Control-Allow-Headers", "*")
		header.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	a := s.admit(r.Context(), r.URL.RequestURI(), r.Header)
	if methods := a.route.methods(); a.Allowed() && !slices.Contains(methods, r.Method) {
		header.Set("Allow", strings.Join(methods, ", "))
		a.Reason, a.Detail = WrongMethod, "The resource has no method "+r.Method+"."
	}
	s.tally[a.Reason].Add(1)
	header.Set("X-Muxsim-Reason", string(a.Reason))
	s.log.LogAttrs(r.Context(), slog.LevelDebug, "edge", slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", a.Status()), slog.String("reason", string(a.Reason)))
	if !a.Allowed() {
		writeRefusal(w, a.Verdict)
		return
	}
	body, contentType, err := s.content(a, r)
	if err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelError, "edge", slog.String("path", r.URL.Path), slog.Any("error", err))
		http.Error(w, "the simulator is broken; see its log", http.StatusInternalServerError)
		return
	}
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "private, no-store") // so that a refusal after exp is never masked by a cache
	if name := a.params["download"]; name != "" {
		header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// methods returns the methods of a layout. Licences are POSTed; GET is
// tolerated, since the gateway redirects both.
func (r route) methods() []string {
	if r.kind == license {
		return []string{http.MethodGet, http.MethodHead, http.MethodPost}
	}
	return []string{http.MethodGet, http.MethodHead}
}

// writeRefusal writes Mux's envelope (mux.md §4). Which body Mux gives to each
// cause is UNVERIFIED; the reason comes first in the message.
func writeRefusal(w http.ResponseWriter, v Verdict) {
	kinds := map[int]string{
		http.StatusBadRequest: "invalid_parameters", http.StatusForbidden: "forbidden", http.StatusNotFound: "not_found",
		http.StatusPreconditionFailed: "precondition_failed", http.StatusMethodNotAllowed: "method_not_allowed",
	}
	writeEnvelope(w, v.Status(), kinds[v.Status()], string(v.Reason)+": "+v.Detail)
}

// writeEnvelope writes Mux's error envelope.
func writeEnvelope(w http.ResponseWriter, status int, kind, message string) {
	type inner struct {
		Type     string   `json:"type"`
		Messages []string `json:"messages"`
	}
	writeJSON(w, status, map[string]inner{"error": {kind, []string{message}}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // what is passed here always marshals
		status, body = http.StatusInternalServerError, []byte(`{"error":{"type":"internal_error","messages":[]}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails
}

const (
	typeHLS  = "application/vnd.apple.mpegurl"
	typeVTT  = "text/vtt; charset=utf-8"
	typeText = "text/plain; charset=utf-8"
	typeJSON = "application/json"
	typeMP4  = "video/mp4"
)

// content returns the body of an admitted request and its type.
func (s *Sim) content(a *admission, r *http.Request) ([]byte, string, error) {
	switch a.route.kind {
	case manifest:
		if r.Method == http.MethodGet {
			a.object.views.Add(1)
		}
		return []byte(s.multivariant(a)), typeHLS, nil
	case playlist:
		return []byte(s.rendition(a)), typeHLS, nil
	case text:
		return textTrack(a.object.clip.subtitle[a.route.name], a.route.format)
	case thumbnail:
		data, err := s.still(a)
		return data, imageType(a.route.format), err
	case animated:
		data, err := a.object.clip.image("animated", a.route.format)
		return data, imageType(a.route.format), err
	case storyboard:
		return a.storyboard(r)
	case license:
		return []byte("simulated " + a.route.name + " licence for " + string(a.object.ID)), "application/octet-stream", nil
	case certificate:
		return []byte("simulated FairPlay certificate"), "application/octet-stream", nil
	case counts, health:
		data, err := s.stats(a)
		return data, typeJSON, err
	case static, chunk:
	}
	return a.file()
}

// file returns a static rendition or a segment.
func (a *admission) file() ([]byte, string, error) {
	c := a.object.clip
	if a.route.kind == static {
		data, _ := c.static(a.route.name) // exists saw it
		if a.route.format == "m4a" {
			return data, "audio/mp4", nil
		}
		return data, typeMP4, nil
	}
	name := a.route.name
	if track, ok := strings.CutPrefix(name, "text-"); ok {
		return c.subtitle[track], typeVTT, nil
	}
	if name == stillsName {
		data, err := c.image(fmt.Sprintf("thumbnail/%02d", max(0, a.route.number)%c.stills), "jpg")
		return data, "image/jpeg", err
	}
	r, _ := c.rung(name) // childExists saw it
	if a.route.number < 0 {
		return r.initial, typeMP4, nil
	}
	return r.segments[a.route.number%len(r.segments)], typeMP4, nil
}

// textTrack returns a subtitle track as WebVTT, or its words alone.
func textTrack(vtt []byte, format string) ([]byte, string, error) {
	if format == "vtt" {
		return vtt, typeVTT, nil
	}
	var words []string
	for line := range strings.Lines(string(vtt)) {
		line = strings.TrimSpace(line)
		if line != "" && line != "WEBVTT" && !strings.Contains(line, "-->") {
			words = append(words, line)
		}
	}
	return []byte(strings.Join(words, " ") + "\n"), typeText, nil
}

func (a *admission) storyboard(r *http.Request) ([]byte, string, error) {
	switch a.route.format {
	case "vtt":
		return a.storyboardVTT(r), typeVTT, nil
	case "json":
		data, err := a.storyboardJSON(r)
		return data, typeJSON, err
	}
	data, err := a.object.clip.image("storyboard", a.route.format)
	return data, imageType(a.route.format), err
}

func imageType(format string) string {
	if format == "jpg" {
		return "image/jpeg"
	}
	return "image/" + format
}

// stats answers counts with the multivariant playlists served for what is
// counted, none for a video ID, which no player reports here, and ingest health with "good": shape and numbers are enough for a demo.
func (s *Sim) stats(a *admission) ([]byte, error) {
	updated := s.now().UTC().Format(time.RFC3339)
	if a.route.kind == health {
		return json.Marshal(map[string]any{"data": []any{map[string]any{"status": "good", "updated_at": updated}}})
	}
	var views uint64
	for _, o := range s.objects() {
		if o.realm == a.realm && a.counted.of(o) {
			views += o.views.Load()
		}
	}
	return json.Marshal(map[string]any{"data": []any{map[string]any{"views": views, "viewers": views, "updated_at": updated}}})
}
