package playback

// Asker is on whose behalf something scarce is asked for, such as Mux's answers.
type Asker struct {
	// Authenticated: the caller proved who they are. Nobody else gets a share.
	Authenticated bool
	// Caller is the fair-share identity, as in Turn.
	Caller string
	// Backend: the caller is an access token, which asks for many viewers.
	Backend bool
	// Viewer is whom a backend asks for, "" for nobody in particular.
	Viewer string
}
