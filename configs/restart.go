package configs

import (
	"reflect"
)

// RestartOnly returns the paths of the settings that differ between two
// configurations and that a reload cannot change, in the order of the
// reference: what the process listens on, its key store, signer, cache and the
// format of its log. TLS counts only if it is switched on or off; a changed
// certificate is read again. Secrets inside files do not count either.
func RestartOnly(old, next *Config) []string {
	return restarts(reflect.ValueOf(old).Elem(), reflect.ValueOf(next).Elem(), scope{})
}

// scope is a section while it is compared: its path, and whether everything
// in it takes a restart.
type scope struct {
	path string
	all  bool
}

func restarts(old, next reflect.Value, s scope) []string {
	var paths []string
	for _, m := range membersOf(old.Type()) {
		inner := scope{join(s.path, m.name), s.all || m.tag.Get("restart") == "true"}
		a, b := old.Field(m.i), next.Field(m.i)
		switch {
		case m.tag.Get("restart") == "switch":
			if enabled(a) != enabled(b) {
				paths = append(paths, inner.path)
			}
		case isSection(m.typ):
			paths = append(paths, restarts(a, b, inner)...)
		case inner.all && !reflect.DeepEqual(a.Interface(), b.Interface()):
			paths = append(paths, inner.path)
		}
	}
	return paths
}

func enabled(v reflect.Value) bool {
	s, ok := reflect.TypeAssert[interface{ Enabled() bool }](v)
	return ok && s.Enabled()
}
