// Package cli is the command line: one file per command. Commands parse their
// arguments, call app or a room, print the answer on standard output and
// return an error, which Run alone prints and turns into an exit status.
//
// It holds no logic that the server needs too. Whoever controls the command
// line controls the process; the tokens and files that commands read may still
// come from strangers, so nothing of them reaches the terminal unquoted, and
// secrets are only printed where printing them is the command's purpose.
package cli
