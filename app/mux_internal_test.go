package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/playgate/playgate/configs"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/signingkey"
)

func TestWhatMuxRefusesForGoodIsToldFromWhatPasses(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{http.StatusForbidden: true, http.StatusUnauthorized: true, http.StatusBadRequest: true, http.StatusNoContent: false, http.StatusRequestTimeout: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(server.Close)
		e := &configs.Environment{Mux: configs.Mux{BaseURL: server.URL, TokenID: "t", TokenSecret: playback.NewSecret("s")}}
		client, err := newMuxClients().of(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Delete(t.Context(), "K1"); errors.Is(err, signingkey.ErrRefused) != want {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestWithoutAClientOfMuxNothingIsDone(t *testing.T) {
	t.Parallel()
	e := &configs.Environment{Mux: configs.Mux{BaseURL: "no URL", TokenID: "t"}}
	settings, err := newMuxClients().settings(e)
	if err == nil || settings.Mux == nil {
		t.Fatalf("settings = %+v, %v", settings, err)
	}
	_, made := settings.Mux.Create(t.Context())
	_, listed := settings.Mux.List(t.Context())
	for _, err := range []error{made, listed, settings.Mux.Delete(t.Context(), "K1")} {
		if err == nil {
			t.Error("it did something")
		}
	}
}
