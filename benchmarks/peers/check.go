package peers

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/playgate/playgate/muxsim"
)

// Verify judges a signed URL of Mux as Mux would: token, key, audience, subject
// and expiry.
func Verify(key *rsa.PublicKey, keyID, playbackID, url string) error {
	sim, err := muxsim.New(muxsim.Config{Environments: []muxsim.Environment{{
		ID:          "bench",
		PlaybackIDs: []muxsim.PlaybackID{{ID: muxsim.ID(playbackID), Policy: muxsim.Signed, Asset: "bench"}},
		Keys:        map[muxsim.KeyID]*rsa.PublicKey{muxsim.KeyID(keyID): key},
	}}})
	if err != nil {
		return fmt.Errorf("making the simulated Mux: %w", err)
	}
	if v := sim.Verify(url, http.Header{}); !v.Allowed() {
		return fmt.Errorf("the token for %s is refused: %s: %s", playbackID, v.Reason, v.Detail)
	}
	return nil
}

// spare is how far an answer's size may be from the gateway's.
const spare = 0.02

// check asks the peer as the load will, and judges its answers.
func (s *Server) check(ctx context.Context, c Config) error {
	if s.Name == HAProxy {
		return s.checkVerifier(ctx, c)
	}
	ids := []string{c.PlaybackID}
	if s.Name.signs() {
		ids = append(ids, c.PlaybackID, "CHECK"+c.PlaybackID) // the second time from the LRU, and one more
	}
	for _, id := range ids {
		res, err := get(ctx, s.URL+Path(id), "")
		if err != nil {
			return err
		}
		if err := res.like(c.Answer); err != nil {
			return err
		}
		if !s.Name.signs() {
			if !bytes.Equal(res.body, c.Answer.Body) {
				return errors.New("its answer is not the gateway's")
			}
			continue
		}
		var body struct{ URL string }
		if err := json.Unmarshal(res.body, &body); err != nil {
			return fmt.Errorf("reading its answer: %w", err)
		}
		if err := Verify(&c.Key.PublicKey, c.KeyID, id, body.URL); err != nil {
			return err
		}
	}
	return nil
}

// Check asks the running peer again, as after a load.
func (s *Server) Check(ctx context.Context, c Config) error {
	if err := s.check(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// like reports why an answer is not of the gateway's size and kind.
func (r *response) like(a Answer) error {
	if r.status != http.StatusOK {
		return fmt.Errorf("it answers %d: %s", r.status, r.body)
	}
	if math.Abs(float64(len(r.body)-len(a.Body))) > spare*float64(len(a.Body)) {
		return fmt.Errorf("its answer has %d bytes, the gateway's %d", len(r.body), len(a.Body))
	}
	for _, name := range []string{"Content-Type", "Cache-Control", "X-Request-Id"} {
		if r.header.Get(name) == "" {
			return fmt.Errorf("its answer has no %s", name)
		}
	}
	return nil
}

// checkVerifier wants a good viewer token accepted, and a forged and a missing
// one refused.
func (s *Server) checkVerifier(ctx context.Context, c Config) error {
	good := c.Viewers.Token
	dot := strings.LastIndexByte(good, '.')
	if dot < 0 {
		return errors.New("there is no viewer token to check it with")
	}
	flipped := byte('A')
	if good[dot+1] == flipped {
		flipped = 'B'
	}
	forged := good[:dot+1] + string(flipped) + good[dot+2:]
	for _, one := range []struct {
		token string
		want  int
	}{{good, http.StatusOK}, {forged, http.StatusUnauthorized}, {"", http.StatusUnauthorized}} {
		res, err := get(ctx, s.URL+Path(c.PlaybackID), one.token)
		if err != nil {
			return err
		}
		if res.status != one.want {
			return fmt.Errorf("it answers %d instead of %d", res.status, one.want)
		}
		if one.want == http.StatusOK {
			if err := res.like(c.Answer); err != nil {
				return err
			}
		}
	}
	return nil
}

// filler is by how many bytes a peer that signs lengthens its answers, so that
// they are as long as the gateway's: those hold the token several times.
func filler(c Config) (int, error) {
	var gateway struct {
		Data struct {
			Tokens []struct{ Token, URL string }
			Token  string
			URL    string
		}
	}
	if err := json.Unmarshal(c.Answer.Body, &gateway); err != nil {
		return 0, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	token, url := gateway.Data.Token, gateway.Data.URL
	if len(gateway.Data.Tokens) > 0 {
		token, url = gateway.Data.Tokens[0].Token, gateway.Data.Tokens[0].URL
	}
	bare, err := json.Marshal(map[string]string{"token": token, "url": url, "filler": ""})
	if err != nil {
		return 0, fmt.Errorf("writing an answer: %w", err)
	}
	return max(0, len(c.Answer.Body)-len(bare)), nil
}
