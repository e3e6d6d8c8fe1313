package multibuffer_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/playgate/playgate/signer/multibuffer"
)

func TestQuick(t *testing.T) {
	k, _ := rsa.GenerateKey(rand.Reader, 2048)
	key, err := multibuffer.NewKey(k)
	if err != nil {
		t.Fatal(err)
	}
	b := multibuffer.NewBatch()
	for _, portable := range []bool{true, false} {
		b.Wipe()
		var ds [8][32]byte
		for l := range 8 {
			rand.Read(ds[l][:])
			b.Set(l, key, &ds[l])
		}
		if portable {
			b.ComputePortable()
		} else {
			b.Compute()
		}
		for l := range 8 {
			sig, err := b.Result(l)
			want, _ := rsa.SignPKCS1v15(nil, k, crypto.SHA256, ds[l][:])
			if err != nil || !bytes.Equal(sig, want) {
				t.Errorf("portable %v lane %d: %v\n%x\n%x", portable, l, err, sig, want)
			}
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	k, _ := rsa.GenerateKey(rand.Reader, 2048)
	key, _ := multibuffer.NewKey(k)
	batch := multibuffer.NewBatch()
	var d [32]byte
	for b.Loop() {
		for l := range 8 {
			batch.Set(l, key, &d)
		}
		batch.Compute()
		for l := range 8 {
			if _, err := batch.Result(l); err != nil {
				b.Fatal(err)
			}
		}
		batch.Wipe()
	}
	b.ReportMetric(8/b.Elapsed().Seconds()*float64(b.N), "signatures/s")
}
