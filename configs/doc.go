// Package configs reads the gateway's configuration: one YAML (or JSON) file,
// strictly, with every default filled in and every problem found at once.
//
// It owns the shape of the file (contract §2), its defaults, environment
// overrides, the reading of the secrets and other files that it names, all
// validation that needs no other room, warnings about what is legal but
// dangerous, and the generated reference. It does not compile rules (policy
// does; their bytes are handed on with the path they came from), open key
// stores or fetch key sets, and it starts nothing. A *Config is plain data:
// after Load nobody writes to it, so any number of goroutines may read it.
//
// If an attacker controls the file, they control the gateway; that is what the
// file is for. What this package guards against is the honest mistake: nothing
// is accepted and ignored, no value is read as something else than it was
// written as (an ID of digits stays text), and no input makes it panic, recurse
// without bound or grow beyond a fixed multiple of its size. Secrets that it
// reads are values that redact themselves, and no message repeats one.
package configs
