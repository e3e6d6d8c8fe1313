package catalog_test

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playgate/playgate/catalog"
	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/playback"
)

// TestSignaturesCoverLargeBodiesToTheLastByte, which are hashed in steps of 32 KiB.
func TestSignaturesCoverLargeBodiesToTheLastByte(t *testing.T) {
	t.Parallel()
	now := time.Now()
	secrets := []playback.Secret{playback.NewSecret("another"), playback.NewSecret("s1")}
	for _, size := range []int{0, 1, 32<<10 - 1, 32 << 10, 32<<10 + 1, 100_000, 1 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		header := muxsim.SignWebhook(body, now, "s1")
		if err := catalog.VerifySignature(header, body, secrets, now); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if size == 0 {
			continue
		}
		for _, at := range []int{0, size / 2, size - 1} {
			body[at] ^= 1
			if catalog.VerifySignature(header, body, secrets, now) == nil {
				t.Errorf("%d bytes: byte %d was changed, and the signature is good", size, at)
			}
			body[at] ^= 1
		}
		if catalog.VerifySignature(header, body[:size-1], secrets, now) == nil {
			t.Errorf("%d bytes: the last is missing, and the signature is good", size)
		}
	}
}

// TestHashingALargeBodyLetsOthersRun: on one processor another goroutine runs while
// a body of a megabyte is hashed, again and again.
func TestHashingALargeBodyLetsOthersRun(t *testing.T) { //nolint:paralleltest // has one processor for the process
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	body := make([]byte, 1<<20)
	header := muxsim.SignWebhook(body, time.Now(), "another")
	var ran atomic.Int64
	var over atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !over.Load() {
			ran.Add(1)
			runtime.Gosched()
		}
	}()
	err := catalog.VerifySignature(header, body, []playback.Secret{playback.NewSecret("s1")}, time.Now())
	turns := ran.Load()
	over.Store(true)
	<-ended
	if err == nil {
		t.Error("a signature by another secret is good")
	}
	if want := int64(len(body)/(32<<10)) / 2; turns < want {
		t.Errorf("another goroutine ran %d times while %d bytes were hashed, want at least %d", turns, len(body), want)
	}
}
