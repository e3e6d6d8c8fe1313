package middleware

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/playgate/playgate/playback"
)

// PanicError is the cause of an internal error that began as a panic.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the value; the stack is for the log alone.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Recovered turns a panic into an error: what recover() returned, with the
// stack of the goroutine. fasthttp itself recovers nothing, so that one bug
// would end the process.
func Recovered(value any) *playback.Error {
	return playback.Errorf(playback.CodeInternalError, "").Because(&PanicError{value, debug.Stack()})
}

// StackOf returns the stack of the panic that caused the error, if one did.
func StackOf(err error) []byte {
	if p, ok := errors.AsType[*PanicError](err); ok {
		return p.Stack
	}
	return nil
}
