// Package playback is the vocabulary of the gateway: identifiers, viewers,
// playback IDs and what stands behind them, questions and decisions, claims,
// tokens and errors. It imports the standard library only, so that every room
// can speak it without depending on another room.
//
// It does not decide, sign, store or talk to anything. Values are plain data
// and safe to share between goroutines as long as nobody writes to them; what
// is documented as immutable must never be written to after it was published.
//
// If an attacker controls the input of the parsers here (IDs, durations,
// parameters), the worst they get is a refused value: each parser accepts a
// closed grammar, bounds length before it does work, and returns a canonical
// form, so that two spellings of one value can never become two cache entries
// and no byte outside the grammar reaches a token or a URL.
package playback
