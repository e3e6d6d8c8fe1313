//go:build cgo && linux

package signer

/*
#cgo LDFLAGS: -ldl -lpthread
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

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

// sign_all signs n SHA-256 digests with one key and returns how many it did: n,
// or the index of the one that failed. One context serves them all.
static int sign_all(void *key, int n, const unsigned char *digests, unsigned char *signatures, size_t length) {
	const int pkcs1 = 1; // RSA_PKCS1_PADDING
	int done = 0;
	void *ctx = crypto.ctx_new(key, NULL);
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
enum { batch = 8, longest = 1024 }; // digests of a task; bytes of a signature: RSA-8192

// A task is one batch for the signing threads. They are plain threads of low
// priority that never run Go: one that waits for a core holds nothing that a
// request needs. With a driver it is a batch of lanes (package multibuffer),
// whose machine code Go brings, else one for libcrypto.
struct task {
	struct task *next;
	void (*driver)(const void *steps, long count, void *scratch);
	const void *steps;
	long count;
	void *scratch;
	void **keys;   // a copy for each thread
	int n, length, done, index;
	long long cpu; // nanoseconds of a core that it took
	unsigned char digests[batch * 32], signatures[batch * longest];
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	struct task *first, **last;
	int out;  // where a task's index is written when it is done
	int nice; // of the threads
} line = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &line.first, -1, 0};

static long long thread_time(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *serve(void *number) {
	int me = (int)(intptr_t)number;
	setpriority(PRIO_PROCESS, syscall(SYS_gettid), line.nice); // of this thread (sched(7)); a refusal costs latency only
	for (;;) {
		pthread_mutex_lock(&line.lock);
		while (line.first == NULL)
			pthread_cond_wait(&line.arrived, &line.lock);
		struct task *t = line.first;
		if ((line.first = t->next) == NULL)
			line.last = &line.first;
		pthread_mutex_unlock(&line.lock);
		long long begun = thread_time();
		if (t->driver != NULL)
			t->driver(t->steps, t->count, t->scratch);
		else
			t->done = sign_all(t->keys[me], t->n, t->digests, t->signatures, t->length);
		t->cpu = thread_time() - begun;
		int index = t->index;
		while (write(line.out, &index, sizeof index) < 0)
			;
	}
	return NULL;
}

// start_threads starts n signing threads, which last as long as the process. It
// returns how many it could start.
static int start_threads(int n, int out, int nice) {
	sigset_t all, old;
	int started = 0;
	line.out = out;
	line.nice = nice;
	sigfillset(&all); // signals are for Go's threads
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (; started < n; started++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)started) != 0)
			break;
		pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return started;
}

static struct task *new_task(int index) {
	struct task *t = calloc(1, sizeof *t);
	if (t != NULL)
		t->index = index;
	return t;
}

static void set_lanes(struct task *t, uintptr_t driver, const void *steps, long count, void *scratch) {
	t->driver = (void (*)(const void *, long, void *))driver;
	t->steps = steps;
	t->count = count;
	t->scratch = scratch;
}

static void submit(struct task *t) {
	pthread_mutex_lock(&line.lock);
	t->next = NULL;
	*line.last = t;
	line.last = &t->next;
	pthread_cond_signal(&line.arrived);
	pthread_mutex_unlock(&line.lock);
}
*/
import "C"

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/playgate/playgate/signer/multibuffer"
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

// longestSignature is what a task has room for, in bytes.
const longestSignature = C.longest

// threads are the signing threads of the process, started once. Whoever has a
// task signed waits on a channel, and holds none of Go's processors meanwhile.
type threads struct {
	number int
	free   chan *slot
	slots  []*slot
}

// slot is a task, in C's memory, and who waits for it.
type slot struct {
	task *C.struct_task
	done chan struct{}
}

var signingThreads = sync.OnceValues(startThreads) //nolint:gochecknoglobals // like the library

// startThreads starts a thread for each core, and a goroutine that tells who
// waits for a task that it is done.
func startThreads() (*threads, error) {
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("making the signing threads' pipe: %w", err)
	}
	if err := syscall.SetNonblock(pipe[0], true); err != nil {
		return nil, fmt.Errorf("making the signing threads' pipe: %w", err)
	}
	n := int(C.start_threads(C.int(runtime.GOMAXPROCS(0)), C.int(pipe[1]), C.int(workerNice)))
	if n == 0 {
		return nil, errors.New("no signing thread can be started")
	}
	const each = 4 // tasks for each thread: one that it works on, one that waits, and as many being filled or read
	t := &threads{number: n, free: make(chan *slot, each*n)}
	for i := range each * n {
		task := C.new_task(C.int(i))
		if task == nil {
			return nil, errors.New("no memory for the signing threads")
		}
		t.slots = append(t.slots, &slot{task, make(chan struct{}, 1)})
		t.free <- t.slots[i]
	}
	go t.listen(os.NewFile(uintptr(pipe[0]), "signing threads"))
	return t, nil
}

func (t *threads) listen(done *os.File) {
	reader := bufio.NewReader(done) // takes all that are done at once
	var number [4]byte
	for {
		if _, err := io.ReadFull(reader, number[:]); err != nil { // nobody closes it
			panic("signer: reading from the signing threads: " + err.Error())
		}
		t.slots[binary.NativeEndian.Uint32(number[:])].done <- struct{}{}
	}
}

// sign has a thread sign a batch with one key, and returns how many were signed
// and what each cost.
func (t *threads) sign(k *opensslKey, work []Work) (done int, each time.Duration) {
	s := <-t.free
	defer func() { t.free <- s }()
	s.task.keys, s.task.n, s.task.length = k.copies, C.int(len(work)), C.int(k.length)
	digests := unsafe.Slice((*byte)(unsafe.Pointer(&s.task.digests)), len(work)*sha256.Size)
	for i := range work {
		copy(digests[i*sha256.Size:], work[i].Digest[:])
	}
	C.submit(s.task)
	<-s.done
	done = int(s.task.done)
	signed := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&s.task.signatures)), done*k.length))
	for i := range done {
		work[i].Signature = signed[i*k.length : (i+1)*k.length : (i+1)*k.length]
	}
	return done, time.Duration(s.task.cpu) / time.Duration(len(work))
}

// compute has a thread compute a batch of lanes, and returns what it cost.
func (t *threads) compute(batch *multibuffer.Batch) time.Duration {
	s := <-t.free
	defer func() { t.free <- s }()
	job := batch.Job()
	var pinned runtime.Pinner
	pinned.Pin(job.Steps)
	pinned.Pin(job.Scratch)
	defer pinned.Unpin()
	C.set_lanes(s.task, C.uintptr_t(job.Driver), job.Steps, C.long(job.Count), job.Scratch)
	C.submit(s.task)
	<-s.done
	C.set_lanes(s.task, 0, nil, 0, nil)
	return time.Duration(s.task.cpu)
}

// evpCopies makes the array of a key's copies, one for each thread.
func evpCopies(keys []unsafe.Pointer) *unsafe.Pointer {
	array := (*unsafe.Pointer)(C.calloc(C.size_t(len(keys)), C.size_t(unsafe.Sizeof(keys[0]))))
	copy(unsafe.Slice(array, len(keys)), keys)
	return array
}

func freeCopies(array *unsafe.Pointer) { C.free(unsafe.Pointer(array)) }
