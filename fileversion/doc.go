// Package fileversion tells one version of a file from another without reading
// it.
//
// Size and modification time are not enough: both survive `cp -p` and `touch
// -r`, and images built reproducibly give every file the same time. The inode
// tells a file that was replaced by a rename, and the time of the last status
// change, which nobody can set, one that was overwritten in place.
//
// Both say too much as well: a hard link, a chmod and a network file system
// that numbers its inodes anew change them without changing the content. Who
// must not act then compares the content where Alike holds.
//
// It owns no state and may be used concurrently. If an attacker controls the
// files, they can make two versions look different, but not one look like the
// other.
package fileversion
