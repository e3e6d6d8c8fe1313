package muxsim_test

import (
	"fmt"

	"github.com/playgate/playgate/muxsim"
)

func Example() {
	edge, err := muxsim.New(muxsim.Config{Environments: []muxsim.Environment{{
		ID: "cinema",
		PlaybackIDs: []muxsim.PlaybackID{
			{ID: "Trailer", Policy: muxsim.Public, Asset: "A1"},
			{ID: "Film", Policy: muxsim.Signed, Asset: "A1"},
		},
	}}})
	if err != nil {
		panic(err)
	}
	for _, url := range []string{"https://stream.mux.com/Trailer.m3u8", "https://stream.mux.com/Film.m3u8"} {
		verdict := edge.Verify(url, nil)
		fmt.Println(verdict.Status(), verdict.Reason)
	}
	// Output:
	// 200 ok
	// 403 token_missing
}
