package pulseagent

import (
	"encoding/json"
	"time"
)

// Description is a namespace as those see it who may claim or describe it. An instant that is zero, and an amount that is
// nil, is unknown, or there is none.
type Description struct {
	Namespace string
	Created   time.Time
	Expires   time.Time
	// State is provisioning, active or expiring.
	State string
	// BlockedBy is what the deletion of an expiring namespace waits for, for people.
	BlockedBy string
	// Holder is the clientId of the latest claim.
	Holder                  string
	LastClaim, NextRotation time.Time
	// RefusedUntil is until when claims are refused, after a revocation.
	RefusedUntil time.Time
	// QueueLimits are the limits that a claim asked for; nil: none.
	QueueLimits *QueueLimits
	// Connections is the number of open connections of its accounts.
	Connections *int64
	// ObservedAt is when the agent that answered observed the queues, in ascending order: the last instant is that of all
	// amounts, the earlier ones are those of Trend. Nil, as Queues, while nothing is known of them.
	ObservedAt []time.Time
	// Queues are the deepest ones, the deepest first.
	Queues []DescribedQueue
	// MoreQueues is whether there are others.
	MoreQueues bool
	// Alerts are its queues that have grown too large.
	Alerts []QueueAlert
	// Audit has the latest audit records, the newest first.
	Audit []AuditEntry
}

// DescribedQueue is a queue with how it grows. Growth is known from the second request on, 10 s after the first one.
type DescribedQueue struct {
	Queue string
	// State is watched, warned, deleting, exempt or unclaimed.
	State string
	// Messages are those that are ready and those that are unacknowledged.
	Messages, Ready, Unacknowledged, Bytes, Consumers *int64
	// GrowingSince is the observation since which MessagesPerMinute is measured.
	GrowingSince                      time.Time
	MessagesPerMinute, BytesPerMinute *float64
	// Next is the threshold that it reaches next; nil: none.
	Next *Threshold
	// WarnedSince is since when its owner is warned, ExemptUntil until when an operator exempted it from deletion.
	WarnedSince, ExemptUntil time.Time
	// Trend is its messages at each of the instants of ObservedAt; nil where they are unknown.
	Trend []*int64
	// Rule is the rule that holds for it, by its place in the settings of the agents, or default; empty: an older agent.
	Rule string
	// Limits is what it may hold; nil: an older agent.
	Limits *DescribedLimits
}

// DescribedLimits is what a queue may hold, and what the agents do at the limit for deletion.
type DescribedLimits struct {
	QueueLimits
	// OnOvergrown is delete, purge or leave.
	OnOvergrown string
}

// Threshold is what a queue reaches next.
type Threshold struct {
	// Action is what the agents do there: warn, delete, purge or leave.
	Action string
	// Unit is messages or bytes.
	Unit string
	At   int64
	// ReachedAt is when the queue reaches it at its present rate. When it is zero, and RateKnown, it does not.
	ReachedAt time.Time
	RateKnown bool
}

// UnmarshalJSON reads a threshold.
func (t *Threshold) UnmarshalJSON(text []byte) error {
	var fields struct {
		Action, Unit string
		At           int64
		ReachedAt    json.RawMessage
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	*t = Threshold{Action: fields.Action, Unit: fields.Unit, At: fields.At, RateKnown: len(fields.ReachedAt) > 0}
	if !t.RateKnown {
		return nil
	}
	return json.Unmarshal(fields.ReachedAt, &t.ReachedAt)
}

// QueueAlert is a queue that has grown too large.
type QueueAlert struct {
	Queue string
	// State is warned or deleting.
	State    string
	Since    time.Time
	Messages int64
	Bytes    *int64
}

// AuditEntry is what was done to a namespace. It names nobody but the holder and the client that asks.
type AuditEntry struct {
	At     time.Time
	Action string
	// By is client, agent or operator.
	By       string
	ClientID string
	// Subject is the account, queue or exchange that was acted on; empty: the namespace as a whole.
	Subject, Outcome, Reason string
}
