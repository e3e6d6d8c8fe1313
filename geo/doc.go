// Package geo knows where an address is, from databases in MaxMind's format:
// country, region, autonomous system.
//
// It owns the database files: it reads them whole into memory (a file that is
// mapped and then overwritten in place would end the process), and swaps them
// while the gateway runs when they change. A file that cannot be read keeps the
// old one in force. It does not own what a proxy says about a viewer's country
// (server does) or what a country means (the rules do).
//
// A Database is safe for concurrent use; a look-up takes no lock.
//
// If an attacker controls the address, they get the country of that address: the
// address must be the edge's word. The files are the operator's.
package geo
