//go:build linux && race

package rig

// raceDetector says that collectors of this executable run under the race
// detector.
const raceDetector = true
