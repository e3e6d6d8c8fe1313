// Package telemetry writes the process's log.
//
// Whoever logs formats the line and puts it into one bounded queue; one
// goroutine writes it. Logging therefore never waits for the reader of standard
// error: a line that does not fit is dropped and counted, first those of the
// levels debug and info, then warnings, errors last. [Log.Trouble] says when
// lines do not get out.
//
// The package owns the format of lines, what is redacted in them, and the writer
// that it was given. It does not own what is logged, nor the decision log (see
// audit). A Log and its loggers may be used from several goroutines.
//
// What strangers send is logged by others, cut and quoted. An attacker who makes
// the gateway log more than its reader takes can make it drop lines of the same
// level, but cannot take the share of the queue that more severe lines have, nor
// more memory than the queue's.
package telemetry
