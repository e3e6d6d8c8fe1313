package e2e_test

import "time"

// filmState is what Mux said of a film at one time.
type filmState struct{ listed, secret, deleted bool }

// film is a film and all that Mux ever said of it. Which of that a gateway goes
// by is known only in part: at least what the newest webhook said that it took,
// or that the other took a while ago; at most what is so at Mux.
type film struct {
	asset, id string
	states    []filmState
	taken     []taken
	least     [2]int // of the states, what each gateway must know
}

type taken struct {
	gateway, state int
	at             time.Time
}

// heard is how soon a gateway hears of what the other one took: a second, by the
// documentation, and time for a busy machine.
const heardOf = 3 * time.Second

// possible are the states that a gateway may go by. up is since when the database
// has been there, zero if it is not: without it nobody hears of anything.
func (f *film) possible(gateway int, up time.Time) []filmState {
	for _, t := range f.taken {
		if t.gateway == gateway || !up.IsZero() && time.Since(t.at) > heardOf && time.Since(up) > heardOf {
			f.least[gateway] = max(f.least[gateway], t.state)
		}
	}
	return f.states[f.least[gateway]:]
}
