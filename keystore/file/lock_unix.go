//go:build unix && !solaris && !illumos && !aix

package file

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lockFile takes the lock of a file against other processes of the machine. It
// ends with the file, or with the process, however that ends.
func lockFile(ctx context.Context, file *os.File) error {
	const pause = 5 * time.Millisecond
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
