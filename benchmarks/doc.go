// Command benchmarks measures the gateway beside its floors, in one run on one
// machine: a cached token beside a bare fiber handler that answers the same
// bytes, and a fresh token beside `openssl speed`, which only signs. It prints
// ratios, because absolute figures on a shared machine mean little.
//
// "Everything on" means: an RS256 viewer token per request, four rules, viewer
// and IP limits, metrics, and the access log sampled at 1/100. The load comes
// from wrk over loopback, on the same cores. Every answer's token is checked
// before and after a run; a wrong one fails it.
//
// It starts and stops its own servers on free loopback ports, and sends load
// nowhere else.
package main
