//go:build race

package multibuffer_test

const raceDetector = true
