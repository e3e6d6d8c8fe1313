//go:build cgo && linux

package signer

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

// The twelve functions of libcrypto 3 that signing takes. Their prototypes are
// those of OpenSSL's evp.h, rsa.h, err.h and crypto.h; the structures stay
// opaque, so no header of OpenSSL is needed to build.
static struct {
	unsigned int (*version_major)(void);
	const char *(*version)(int);
	void *(*d2i)(void **, const unsigned char **, long);
	void (*pkey_free)(void *);
	void *(*ctx_new)(void *, void *);
	void (*ctx_free)(void *);
	int (*sign_init)(void *);
	int (*set_padding)(void *, int);
	int (*set_md)(void *, const void *);
	const void *(*sha256)(void);
	int (*sign)(void *, unsigned char *, size_t *, const unsigned char *, size_t);
	void (*err_clear)(void);
} crypto;

// load fills crypto from a library. It returns NULL, or the name of the first
// symbol that the library lacks.
static const char *load(void *library) {
	const struct { const char *name; void **into; } wanted[] = {
		{"OPENSSL_version_major", (void **)&crypto.version_major},
		{"OpenSSL_version", (void **)&crypto.version},
		{"d2i_AutoPrivateKey", (void **)&crypto.d2i},
		{"EVP_PKEY_free", (void **)&crypto.pkey_free},
		{"EVP_PKEY_CTX_new", (void **)&crypto.ctx_new},
		{"EVP_PKEY_CTX_free", (void **)&crypto.ctx_free},
		{"EVP_PKEY_sign_init", (void **)&crypto.sign_init},
		{"EVP_PKEY_CTX_set_rsa_padding", (void **)&crypto.set_padding},
		{"EVP_PKEY_CTX_set_signature_md", (void **)&crypto.set_md},
		{"EVP_sha256", (void **)&crypto.sha256},
		{"EVP_PKEY_sign", (void **)&crypto.sign},
		{"ERR_clear_error", (void **)&crypto.err_clear},
	};
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		if ((*wanted[i].into = dlsym(library, wanted[i].name)) == NULL)
			return wanted[i].name;
	return NULL;
}

static unsigned int version_major(void) { return crypto.version_major(); }
static const char *version(void) { return crypto.version(0); }

// load_key reads a private key in DER (PKCS#1).
static void *load_key(const unsigned char *der, long length) {
	void *key = crypto.d2i(NULL, &der, length);
	if (key == NULL)
		crypto.err_clear();
	return key;
}

static void free_key(void *key) { crypto.pkey_free(key); }

// lane numbers the calling thread: 0, 1, 2, … in the order in which threads
// first ask.
static int lane(void) {
	static atomic_int lanes;
	static __thread int mine = -1;
	if (mine < 0)
		mine = atomic_fetch_add(&lanes, 1);
	return mine;
}

// sign_all signs n SHA-256 digests with one key, of which there are several
// copies, and returns how many it did: n, or the index of the one that failed.
// One context serves them all, and one call from Go.
static int sign_all(void **keys, int copies, int n, const unsigned char *digests, unsigned char *signatures, size_t length) {
	const int pkcs1 = 1; // RSA_PKCS1_PADDING
	int done = 0;
	void *ctx = crypto.ctx_new(keys[lane() % copies], NULL);
	if (ctx != NULL && crypto.sign_init(ctx) > 0 && crypto.set_padding(ctx, pkcs1) > 0 && crypto.set_md(ctx, crypto.sha256()) > 0) {
		for (; done < n; done++) {
			size_t got = length;
			if (crypto.sign(ctx, signatures + done * length, &got, digests + done * 32, 32) <= 0 || got != length)
				break;
		}
	}
	if (ctx != NULL)
		crypto.ctx_free(ctx);
	if (done < n)
		crypto.err_clear(); // the queue of errors belongs to the thread
	return done;
}
*/
import "C"

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"
)

// libcryptoNames are what dlopen is asked for, in this order: the library
// that OpenSSL 3 has on every distribution, then the name that only
// development packages have, and which may be another version.
const libcryptoNames = "libcrypto.so.3 libcrypto.so"

// libcrypto is loaded once and stays: dlopen is a matter of the process.
var libcrypto = sync.OnceValues(loadLibcrypto) //nolint:gochecknoglobals // as the library itself is global

// loadLibcrypto loads the first library that is version 3 and has every
// symbol, and returns its version in words.
func loadLibcrypto() (string, error) {
	var problems []string
	for name := range strings.FieldsSeq(libcryptoNames) {
		err := loadLibrary(name)
		if err == nil {
			return C.GoString(C.version()), nil
		}
		problems = append(problems, err.Error())
	}
	return "", errors.New(strings.Join(problems, "; "))
}

func loadLibrary(name string) error {
	file := C.CString(name)
	defer C.free(unsafe.Pointer(file))
	library := C.dlopen(file, C.RTLD_NOW|C.RTLD_LOCAL)
	if library == nil {
		return fmt.Errorf("loading %s: not found or unreadable", name)
	}
	if missing := C.load(library); missing != nil {
		err := fmt.Errorf("loading %s: it was built without %s, or is older than version 3", name, C.GoString(missing))
		C.dlclose(library)
		return err
	}
	if major := uint(C.version_major()); major != 3 {
		C.dlclose(library)
		return fmt.Errorf("loading %s: version %d, want 3", name, major)
	}
	return nil
}

// evpLoad reads a PKCS#1 key; nil if libcrypto refuses it.
func evpLoad(der []byte) unsafe.Pointer {
	return C.load_key((*C.uchar)(unsafe.SliceData(der)), C.long(len(der)))
}

func evpFree(key unsafe.Pointer) { C.free_key(key) }

// evpSign signs digests, one behind the other in one slice, with one of a key's
// copies into signatures of length bytes each, likewise, and returns how many
// it did.
func evpSign(copies []unsafe.Pointer, digests, signatures []byte, length int) int {
	n := len(digests) / sha256.Size
	return int(C.sign_all(unsafe.SliceData(copies), C.int(len(copies)), C.int(n), (*C.uchar)(unsafe.SliceData(digests)), (*C.uchar)(unsafe.SliceData(signatures)), C.size_t(length)))
}
