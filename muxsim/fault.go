package muxsim

import (
	"net/http"
	"sync"
)

// Fault is something that the API does wrong.
type Fault struct {
	// Method is what it happens to; "" is everything.
	Method string
	// Times is how many requests it happens to; 0 is one.
	Times int
	// Done: the request is carried out all the same, and only its answer is
	// lost.
	Done bool
	// Status is answered; 0 cuts the connection without an answer.
	Status int
	// RetryAfter is the header of that name, "" for none.
	RetryAfter string
	// Hang: nothing is answered or cut until the client has gone.
	Hang bool
}

// Fail makes the API fail. Faults happen in the order in which they were asked
// for; a request meets the first that fits.
func (s *Sim) Fail(f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	f.Times = max(1, f.Times)
	s.faults.list = append(s.faults.list, f)
}

type faults struct {
	mu   sync.Mutex
	list []Fault
}

// take returns the fault that a request meets, and whether there is one.
func (f *faults) take(method string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		fault := &f.list[i]
		if fault.Times > 0 && (fault.Method == "" || fault.Method == method) {
			fault.Times--
			return *fault, true
		}
	}
	return Fault{}, false
}

// answer does what the fault says to the client.
func (f *Fault) answer(w http.ResponseWriter, r *http.Request) {
	if f.Hang {
		<-r.Context().Done()
	}
	if f.Hang || f.Status == 0 {
		panic(http.ErrAbortHandler)
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	kind := "internal_error"
	if f.Status == http.StatusTooManyRequests {
		kind = "too_many_requests"
	}
	writeEnvelope(w, f.Status, kind, http.StatusText(f.Status))
}

// discard is the answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
