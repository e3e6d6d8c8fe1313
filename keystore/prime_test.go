package keystore_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/keystore/keystoretest"
	"github.com/playgate/playgate/playback"
)

// broken gives acme a key of which one prime is the product of two, beside so many
// environments with a good one.
func broken(t *testing.T, f *fake, others int) []playback.EnvironmentID {
	t.Helper()
	pem := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(halfKey(t)))
	f.records[acme] = []keystore.Record{keystore.NewRecord("HALF", "keys/acme/HALF.pem", pem, keystore.Life{State: keystore.Active})}
	list := []playback.EnvironmentID{acme}
	for n := range others {
		env := playback.EnvironmentID(fmt.Sprintf("env-%d", n))
		f.records[env] = []keystore.Record{keystore.NewRecord("K1", "K1.pem", keystoretest.PEM(t, 1), keystore.Life{State: keystore.Active})}
		list = append(list, env)
	}
	return list
}

// TestAKeyWithoutPrimesIsNotPutInForce: with a usual number of environments it is
// found before the key may sign, and by Load, which the commands use.
func TestAKeyWithoutPrimesIsNotPutInForce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, broken(t, f, 1)...)
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		r.want(t, "acme=- env-0=K1", "acme=- env-0=K1")
		if n := r.logs.count("one of its primes is none"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
	})
	f := newFake()
	broken(t, f, 0)
	set, problems, err := keystore.Load(t.Context(), f, acme)
	if len(set.Keys) != 0 || err != nil || len(problems) != 1 || !strings.Contains(problems[0].Reason, "primes is none") {
		t.Errorf("Load = %v, %v, %v", set, problems, err)
	}
}

// TestAmongManyEnvironmentsAKeyWithoutPrimesIsWithdrawn: there primes are looked
// at when all keys are in force.
func TestAmongManyEnvironmentsAKeyWithoutPrimesIsWithdrawn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		list := broken(t, f, 500)
		w, changes := watch(f, list)
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		if _, all := changes.of(""); all != len(list) {
			t.Fatalf("%d environments were read, want %d", all, len(list))
		}
		time.Sleep(time.Minute)
		if key, ok := w.Keyset(acme).Active(); ok {
			t.Errorf("%v signs", key)
		}
		ones, all := changes.of(acme)
		if _, ok := w.Keyset("env-499").Active(); !ok || all != len(list)+1 || ones != 2 {
			t.Errorf("env-499 has a key: %v; %d calls of OnChange, %d for acme", ok, all, ones)
		}
		f.fail(errors.New("sealed")) // what was found does not depend on the source
		time.Sleep(time.Minute)
		if _, ok := w.Keyset(acme).Active(); ok {
			t.Error("the key came back")
		}
	})
}
