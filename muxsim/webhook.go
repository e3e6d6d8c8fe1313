package muxsim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Webhook returns the body of a webhook about an asset or a live stream as it is
// now: kind is its type, such as "video.asset.ready". Of an object that is gone
// the data has no more than the ID.
func (s *Sim) Webhook(env EnvironmentID, kind, id string) ([]byte, error) {
	r, ok := s.realms[env]
	if !ok {
		return nil, fmt.Errorf("no such environment: %q", env)
	}
	objectType, data := "", map[string]any{"id": id}
	r.video.mu.RLock()
	defer r.video.mu.RUnlock()
	switch {
	case strings.HasPrefix(kind, "video.asset."):
		objectType = "asset"
		if a := r.video.assets[AssetID(id)]; a != nil {
			data = a.show(a.CreatedAt.Unix())
		}
	case strings.HasPrefix(kind, "video.live_stream."):
		objectType = "live"
		if l := r.video.streams[LiveStreamID(id)]; l != nil {
			data = l.show(l.CreatedAt.Unix())
		}
	case kind == "video.upload.asset_created":
		objectType, data = "upload", map[string]any{"id": "upload" + id, "asset_id": id, "status": "asset_created"}
	}
	eventID := make([]byte, 16)
	_, _ = rand.Read(eventID) // never fails
	return json.Marshal(map[string]any{
		"type": kind, "id": fmt.Sprintf("%x-%x-%x-%x-%x", eventID[:4], eventID[4:6], eventID[6:8], eventID[8:10], eventID[10:]),
		"created_at": s.now().UTC().Format(time.RFC3339Nano),
		"object":     map[string]any{"type": objectType, "id": data["id"]}, "environment": map[string]any{"name": r.about.Name, "id": r.id},
		"data": data, "attempts": []any{}, "request_id": nil, "accessor": nil, "accessor_source": nil,
	})
}

// SignWebhook returns the Mux-Signature of a webhook's body (mux.md §7). Several
// secrets give several signatures.
func SignWebhook(body []byte, at time.Time, secrets ...string) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	header := []string{"t=" + stamp}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		header = append(header, "v1="+hex.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(header, ",")
}

// webhookTimeout is how long Mux waits for an answer.
const webhookTimeout = 5 * time.Second

// Endpoint is where webhooks go.
type Endpoint struct {
	URL     string
	Secrets []string
	Client  *http.Client // nil: http's own, with Mux's timeout
}

// Send sends a webhook's body once, signed now, and returns the status that
// came back. Mux repeats what is not 2xx for 24 hours; a caller may do so.
func (s *Sim) Send(ctx context.Context, to Endpoint, body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("sending a webhook: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Mux-Signature", SignWebhook(body, s.now(), to.Secrets...))
	client := to.Client
	if client == nil {
		client = &http.Client{}
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("sending a webhook: %w", err)
	}
	return response.StatusCode, errors.Join(response.Body.Close())
}
