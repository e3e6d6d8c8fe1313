package identity

import (
	"net/http"
	"time"
)

// witness tells what time it is by the clock of whoever answers. A cache on the
// way says how old its answer is (RFC 9111 §5.1): that is no witness.
type witness struct {
	http.RoundTripper

	tell func(time.Time)
}

// RoundTrip implements http.RoundTripper.
func (w witness) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.RoundTripper.RoundTrip(r)
	if err != nil || r.URL.Scheme != "https" || response.Header.Get("Age") != "" {
		return response, err
	}
	if date, wrong := http.ParseTime(response.Header.Get("Date")); wrong == nil {
		w.tell(date)
	}
	return response, nil
}
