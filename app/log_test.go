package app_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/app"
)

// gatewayLog is the log of a running gateway. The gateway does not wait until a
// line is written, so that whoever reads has to.
type gatewayLog struct {
	gateway *app.App // set once it runs

	mu   sync.Mutex
	text string
}

func (l *gatewayLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	return len(p), nil
}

// lastLine is a line that no gateway logs.
const lastLine = "all that was logged before is written"

// flush waits until what was logged before is written: it logs one more line, and
// waits for that. It returns the text with the lock held, without that line.
func (l *gatewayLog) flush(t *testing.T) string {
	t.Helper()
	l.gateway.Logger().Error(lastLine)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		if at := strings.Index(l.text, lastLine); at >= 0 {
			start := strings.LastIndexByte(l.text[:at], '\n') + 1
			end := at + strings.IndexByte(l.text[at:], '\n') + 1
			l.text = l.text[:start] + l.text[end:]
			return l.text
		}
		l.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("the log is not written")
		}
	}
}

// count returns how often a text was logged since the last take.
func (l *gatewayLog) count(t *testing.T, text string) int {
	t.Helper()
	n := strings.Count(l.flush(t), text)
	l.mu.Unlock()
	return n
}

// take returns what was logged since the last time.
func (l *gatewayLog) take(t *testing.T) string {
	t.Helper()
	text := l.flush(t)
	l.text = ""
	l.mu.Unlock()
	return text
}
