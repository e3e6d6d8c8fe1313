// Package outbox does the work that was acknowledged and is not done yet.
//
// It owns the Worker, of which every process has one: it claims jobs of the
// store (store.Outbox), has them done, gives back those that failed, with a
// growing delay, and takes over what a process has left that ended. It does not
// own what a job means, nor who adds it: whoever acknowledges something writes
// the job in the transaction that notes it.
//
// A job is done at least once: a process may end after it has done a job and
// before it has said so, so doing it again must do no harm. Of one environment
// one job at a time is done by a process, and environments take turns, so one
// with many jobs, or whose jobs take long, holds up no other.
//
// Concurrency: Run is called once; Wake may be called by any number of
// goroutines at any time.
//
// If an attacker can have jobs added, they can fill the bounded part of the
// outbox that belongs to the environment; what is acknowledged there waits for
// them, and what does not fit is refused.
package outbox
