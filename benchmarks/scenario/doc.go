// Package scenario holds what the gateway is put through, one file a scenario:
// hits, misses, a mixture, a cold start, a herd, an expiry wave, a key rotation,
// rules that change, Vault lost, hits beside a flood of misses, and a million
// cached tokens. Each starts gateways of its own, puts load on, looks at what
// they did, has every token judged, and returns figures for package report.
//
// An error means that the scenario gave no figures: a wrong answer, a bad token,
// a window with stolen time, a generator that fell behind. The last two are
// tried again, a bounded number of times, and counted.
//
// Scenarios run one after the other; a Bench is not for concurrent use.
//
// Nothing here faces an attacker: servers and load stay on loopback.
package scenario
