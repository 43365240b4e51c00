package pulseagent

import (
	"fmt"
	"regexp"
	"time"
)

var instantForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)$`)

// parseInstant reads an instant of the contract. A finer fraction is rounded up to the millisecond, so that nothing
// expires early.
func parseInstant(text string) (time.Time, error) {
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil || !instantForm.MatchString(text) {
		return time.Time{}, fmt.Errorf("%q is no instant in UTC", text)
	}
	rounded := instant.UTC().Truncate(time.Millisecond)
	if rounded.Before(instant) {
		rounded = rounded.Add(time.Millisecond)
	}
	return rounded, nil
}

// formatInstant writes an instant of the contract. Of a finer one the agent rounds the rest up.
func formatInstant(instant time.Time) string { return instant.UTC().Format(time.RFC3339Nano) }
