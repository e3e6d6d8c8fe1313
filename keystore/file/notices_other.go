//go:build !linux

package file

import (
	"time"

	"github.com/playgate/playgate/playback"
)

// notices are not to be had here.
type notices struct{}

type watch struct{}

func newNotices(string, func() time.Time) *notices { return &notices{} }

func (*notices) notify(func(playback.EnvironmentID)) {}

func (*notices) watch(string, playback.EnvironmentID, *watch) *watch { return nil }

func (*notices) close() error { return nil }
