// Package sqlite keeps the durable records in one file, for one machine: the
// default.
//
// It owns how the file is opened: write-ahead log, so that readers never wait
// for the writer; every commit reaches the disk before it counts; one
// connection writes, several read. The schema and the statements are package
// sqldb's. The file is created if it is not there, readable by its owner alone.
//
// A store is safe for concurrent use, and other processes of the machine may
// open the file too; they wait for each other for up to five seconds. It must
// not lie on a network file system.
//
// A file that is removed or replaced while it is open is not written any more:
// every write fails then, also one that was under way. It can still be read.
//
// If an attacker can write the file, they can grant themselves everything.
package sqlite
