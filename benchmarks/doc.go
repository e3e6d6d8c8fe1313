// Command benchmarks measures the gateway, in this folder:
//
//	go run . [flags]          every scenario, then the ratios to the floors
//	go run . [flags] peers    the ratios to the floors and to what people write by hand
//
// The scenarios are in package scenario, the load in package load; `go run . -h`
// lists the flags. Each run starts and stops its own servers on free loopback
// ports, and sends load nowhere else. One bad token, one wrong answer or a
// generator that fell behind fails it; so does a check that does not depend on
// the machine, as that a herd makes one signature. A check of speed that is
// missed is printed as MISSED and fails nothing.
//
// With -out the report, the raw figures, the plots and a file for benchstat are
// kept in a folder of that folder.
package main
