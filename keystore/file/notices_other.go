//go:build !linux

package file

import "time"

// notices are not to be had here.
type notices struct{}

type watch struct{}

func newNotices(string, func() time.Time) *notices { return &notices{} }

func (*notices) watch(string, *watch) *watch { return nil }

func (*notices) close() error { return nil }

func (*watch) count() uint64 { return 0 }

func (*watch) quiet(uint64) bool { return false }
