//go:build !linux

package bench

import "time"

var began = time.Now()

// cpuTime is the time on the wall where CPU time is not to be had in nanoseconds.
func cpuTime() time.Duration { return time.Since(began) }

func threadTime() time.Duration { return time.Since(began) }
