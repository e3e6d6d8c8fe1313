//go:build !amd64

package multibuffer

import "errors"

// Supported says why not.
func Supported() error {
	return errors.New("the assembly is for amd64")
}

func driverAddress() uintptr { return 0 }

func runAssembly(steps []step, scratch []uint64) { runPortable(steps, scratch) }
