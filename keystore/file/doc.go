// Package file is the keystore.Keeper of signing keys in a directory:
//
//	<dir>/<environment>/<key id>.pem    the private key (see keystore.Parse)
//	<dir>/<environment>/<key id>.json   its state, optional (see keystore.ParseLife)
//
// Files whose name begins with a dot, and all others, are ignored. Symbolic
// links are followed as long as they stay inside <dir>, so that the ..data
// links of a Kubernetes volume work, and a swap of them is one change. Nothing
// is watched: each Load looks at the directory again, and parses only what has
// changed. A key whose file is gone is withdrawn. A good key whose file turns
// unusable keeps its last good content for one more Load, since the file may be
// in the middle of being written; after that it is refused.
//
// Load writes nothing. The other methods replace files as a whole, with mode
// 0600, under a lock file beside the keys (<dir>/<environment>/.lock) that keeps
// processes of one machine apart; a directory that several machines share needs
// a file system whose locks they share too. An operation under way is noted in
// <dir>/<environment>/.journal.json. A Source may be used from several
// goroutines.
//
// If an attacker can write to the directory, they own the signatures of its
// environments. A key is therefore refused if others than its owner may write to
// its file or to the directory that it lies in, and one that they may read is
// reported, or refused as well (Config.Strict). Names that an attacker could influence (environments,
// links) cannot make it read outside the directory: os.Root holds the wall.
package file
