package pulseagent

import (
	"math/rand/v2"
	"time"
)

// clock has the clocks and random numbers of a client. Tests replace them.
type clock struct {
	// wall is the clock that jumps when it is set; its instants have no monotonic part.
	wall func() time.Time
	// monotonic never jumps, and may stand still while the machine is suspended.
	monotonic func() time.Duration
	// random is at least 0, less than 1.
	random func() float64
}

func systemClock() clock {
	start := time.Now()
	return clock{
		wall:      func() time.Time { return time.Now().Round(0) },
		monotonic: func() time.Duration { return time.Since(start) },
		random:    rand.Float64,
	}
}

// dueTime is an instant on both clocks. It has come when one of them has reached it.
type dueTime struct {
	wall      time.Time
	monotonic time.Duration
}

func (c clock) due(at time.Time) dueTime {
	return dueTime{at, c.monotonic() + at.Sub(c.wall())}
}

// until is how long it takes until then; not above 0 if it has come.
func (c clock) until(due dueTime) time.Duration {
	return min(due.wall.Sub(c.wall()), due.monotonic-c.monotonic())
}
