package server

import "net"

// Nonblocking is what becomes of a connection that was accepted.
func Nonblocking(c net.Conn) net.Conn { return nonblocking(c) }

// CanonicalJSON reads a body and returns it in canonical form, for the fuzz
// test; the error is the code.
func CanonicalJSON(body []byte) (canonical []byte, code string) {
	v, trailing, err := readJSON(body)
	switch {
	case err != nil:
		return nil, string(err.Code)
	case trailing != nil:
		return nil, string(trailing.Code)
	}
	if err := checkNames(&v, ""); err != nil {
		return nil, string(err.Code)
	}
	return appendCanonical(nil, &v), ""
}
