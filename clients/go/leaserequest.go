package pulseagent

import (
	"fmt"
	"log/slog"
	"time"
)

// LeaseRequest is what to claim for as long as a lease is held, and what to call then. The functions are called one at a time, in
// order, by a goroutine of their own. None of them gets a secret.
type LeaseRequest struct {
	Namespace string
	// Expires, where not nil, returns the instant for each claim, as ClaimRequest.Expires. With an instant that stays the
	// same the lease is lost then, too. When nil, each claim extends it to the agent's default lifetime from then.
	Expires func() time.Time
	// Contact is the email address for notices about overgrown queues. When empty, the stored one stays.
	Contact string
	// QueueLimits are those of ClaimRequest.
	QueueLimits *QueueLimits

	// OnRenewed is called after each claim that succeeded, except the first one.
	OnRenewed func(Renewed)
	// OnFailing is called when renewing failed. The lease tries again; its credentials still work. When nil, it is a
	// warning of slog.Default.
	OnFailing func(Failing)
	// OnLost is called with the LeaseLost when the credentials can no longer be valid. When nil, it is an error of
	// slog.Default.
	OnLost func(*Error)
	// OnDisconnected is called when a connection of KeepConnected is lost, its session fails, or the next one cannot be
	// opened. When nil, it is a warning of slog.Default.
	OnDisconnected func(Disconnected)
}

// Renewed is a claim that succeeded.
type Renewed struct {
	// Changed: the credentials differ from the ones before.
	Changed            bool
	ReclaimAt, Expires time.Time
}

// Failing is a renewal that failed.
type Failing struct {
	Err *Error
	// Failures is how often renewing has failed in a row.
	Failures int
	RetryAt  time.Time
	// ReclaimAt is until when the credentials work, at least.
	ReclaimAt time.Time
}

// Disconnected is a connection that was lost.
type Disconnected struct {
	Err error
	// RetryAt is when the next one is opened.
	RetryAt time.Time
}

// ConnectionCredentials are the credentials for a new connection. They print without the connection strings.
type ConnectionCredentials struct {
	// ConnectionStrings are those of all addresses, in the order to try them.
	ConnectionStrings []string
	// RecycleAt is when to open the next connection.
	RecycleAt time.Time
}

// String has no secrets.
func (c ConnectionCredentials) String() string {
	return fmt.Sprintf("credentials until %s", formatInstant(c.RecycleAt))
}

// LogValue has no secrets, either.
func (c ConnectionCredentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// GoString has no secrets, either.
func (c ConnectionCredentials) GoString() string { return c.String() }
