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

// The thirteen functions of libcrypto 3 that signing takes. Their prototypes are
// those of OpenSSL's evp.h, rsa.h, err.h and crypto.h; the structures stay
// opaque, so no header of OpenSSL is needed to build.
static struct {
	unsigned int (*version_major)(void);
	const char *(*version)(int);
	void *(*d2i)(int, void **, const unsigned char **, long);
	void *(*pkey_dup)(void *);
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
		{"d2i_PrivateKey", (void **)&crypto.d2i},
		{"EVP_PKEY_dup", (void **)&crypto.pkey_dup},
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

// load_key reads a private key in DER (PKCS#1). Told that it is RSA, libcrypto need
// not find that out, which takes three times as long as the rest.
static void *load_key(const unsigned char *der, long length) {
	const int rsa = 6; // EVP_PKEY_RSA
	void *key = crypto.d2i(rsa, NULL, &der, length);
	if (key == NULL)
		crypto.err_clear();
	return key;
}

static void *copy_key(void *key) {
	void *copy = crypto.pkey_dup(key);
	if (copy == NULL)
		crypto.err_clear();
	return copy;
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
// whose machine code Go brings, else one for libcrypto. Go fills it in and calls
// nothing of C's for that: calls wake the runtime's monitor (server.socket).
struct task {
	uintptr_t driver; // void (const void *steps, long count, void *scratch); 0: for libcrypto
	const void *steps;
	long count;
	void *scratch;
	void **keys;   // a copy for each thread
	int n, length, done;
	uint32_t index;
	long long cpu; // nanoseconds of a core that it took
	unsigned char digests[batch * 32], signatures[batch * longest];
};

static struct {
	int in;   // a pipe of tasks' addresses
	int out;  // a pipe of the indices of those that are done
	int nice; // of the threads
} line;

static long long thread_time(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *serve(void *number) {
	int me = (int)(intptr_t)number;
	setpriority(PRIO_PROCESS, syscall(SYS_gettid), line.nice); // of this thread (sched(7)); a refusal costs latency only
	for (struct task *t;;) {
		if (read(line.in, &t, sizeof t) != sizeof t)
			continue; // interrupted: nobody closes it, and addresses come whole (pipe(7))
		long long begun = thread_time();
		if (t->driver != 0)
			((void (*)(const void *, long, void *))t->driver)(t->steps, t->count, t->scratch);
		else
			t->done = sign_all(t->keys[me], t->n, t->digests, t->signatures, t->length);
		t->cpu = thread_time() - begun;
		while (write(line.out, &t->index, sizeof t->index) < 0)
			;
	}
	return NULL;
}

// start_threads starts n signing threads, which last as long as the process. It
// returns how many it could start.
static int start_threads(int n, int in, int out, int nice) {
	sigset_t all, old;
	int started = 0;
	line.in = in;
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
*/
import "C"

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
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

// evpCopy returns a key of its own with the same numbers; nil if there is no room.
func evpCopy(key unsafe.Pointer) unsafe.Pointer { return C.copy_key(key) }

func evpFree(key unsafe.Pointer) { C.free_key(key) }

// longestSignature is what a task has room for, in bytes.
const longestSignature = C.longest

// longestLine is how many tasks that are done are heard of at once.
const longestLine = 64

// threads are the signing threads of the process, started once. Whoever has a
// task signed waits on a channel, and holds none of Go's processors meanwhile.
type threads struct {
	number int
	tasks  uintptr // the pipe that they take tasks from
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
	var tasks, done [2]int
	if err := errors.Join(syscall.Pipe2(tasks[:], syscall.O_CLOEXEC), syscall.Pipe2(done[:], syscall.O_CLOEXEC)); err != nil {
		return nil, fmt.Errorf("making the signing threads' pipes: %w", err)
	}
	if err := syscall.SetNonblock(done[0], true); err != nil {
		return nil, fmt.Errorf("making the signing threads' pipes: %w", err)
	}
	n := int(C.start_threads(C.int(runtime.GOMAXPROCS(0)), C.int(tasks[0]), C.int(done[1]), C.int(workerNice)))
	if n == 0 {
		return nil, errors.New("no signing thread can be started")
	}
	const each = 4 // tasks for each thread: one that it works on, one that waits, and as many being filled or read
	t := &threads{number: n, tasks: uintptr(tasks[1]), free: make(chan *slot, each*n)}
	for i := range each * n {
		task := C.new_task(C.int(i))
		if task == nil {
			return nil, errors.New("no memory for the signing threads")
		}
		t.slots = append(t.slots, &slot{task, make(chan struct{}, 1)})
		t.free <- t.slots[i]
	}
	go t.listen(os.NewFile(uintptr(done[0]), "signing threads"))
	return t, nil
}

// listen tells who waits for a task that it is done. Like submit it makes its
// system calls without telling Go's scheduler, since they do not block.
func (t *threads) listen(done *os.File) {
	pipe, err := done.SyscallConn()
	var numbers [longestLine]uint32
	n := 0
	read := func(fd uintptr) bool { // all that are done
		size, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&numbers)), unsafe.Sizeof(numbers))
		if errno != 0 {
			size = 0
		}
		n = int(size / unsafe.Sizeof(numbers[0]))
		return errno != syscall.EAGAIN
	}
	for err == nil {
		err = pipe.Read(read)
		for _, number := range numbers[:n] {
			t.slots[number].done <- struct{}{}
		}
	}
	panic("signer: reading from the signing threads: " + err.Error()) // nobody closes it
}

// submit has a thread take a task. The pipe has room for many more than there are.
func (t *threads) submit(s *slot) {
	for {
		_, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, t.tasks, uintptr(unsafe.Pointer(&s.task)), unsafe.Sizeof(s.task))
		switch {
		case errno == 0:
			return
		case errno != syscall.EINTR:
			panic("signer: writing to the signing threads: " + errno.Error())
		}
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
	t.submit(s)
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
	s.task.driver, s.task.steps, s.task.count, s.task.scratch = C.uintptr_t(job.Driver), job.Steps, C.long(job.Count), job.Scratch
	t.submit(s)
	<-s.done
	s.task.driver, s.task.steps, s.task.count, s.task.scratch = 0, nil, 0, nil
	return time.Duration(s.task.cpu)
}

// evpCopies makes the array of a key's copies, one for each thread.
func evpCopies(keys []unsafe.Pointer) *unsafe.Pointer {
	array := (*unsafe.Pointer)(C.calloc(C.size_t(len(keys)), C.size_t(unsafe.Sizeof(keys[0]))))
	copy(unsafe.Slice(array, len(keys)), keys)
	return array
}

func freeCopies(array *unsafe.Pointer) { C.free(unsafe.Pointer(array)) }
