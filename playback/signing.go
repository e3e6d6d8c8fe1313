package playback

// Signing is a token that is being signed.
type Signing interface {
	// Done returns a channel that is closed when it is known what became of it.
	Done() <-chan struct{}
	// Result returns that, once Done is closed.
	Result() (Token, error)
	// Withdraw tells that nobody wants it any more. Done may then never be
	// closed.
	Withdraw()
}
