package pulseagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Pong is what an agent says about itself.
type Pong struct {
	Alive         bool    `json:"alive"`
	UptimeSeconds float64 `json:"uptimeSeconds"`
	Version       string  `json:"version"`
	// Agent is the agent's id.
	Agent string `json:"agent"`
}

// ClaimRequest is what to claim.
type ClaimRequest struct {
	Namespace string
	// Expires is when the namespace may be deleted; when zero, at least the agent's default lifetime from now. A claim
	// never shortens it.
	Expires time.Time
	// Contact is where notices about overgrown queues go: an email address, the id of a Matrix room as
	// matrix:!id:server, or of a Slack channel as slack:C0123456789. When empty, the stored one stays.
	Contact string
	// ClearContact removes the stored contact.
	ClearContact bool
	// QueueLimits are higher limits for its queues, within what the operators allow. When nil, the stored ones stay; without
	// any limit, those of the operators' rules hold. An older agent refuses a claim with it: InputError.
	QueueLimits *QueueLimits
}

// QueueLimits is what each queue may hold. In a claim, what is 0 stays as in the rules of the operators; in a description it
// is not watched.
type QueueLimits struct {
	WarnAtMessages   int64 `json:"warnAtMessages,omitempty"`
	DeleteAtMessages int64 `json:"deleteAtMessages,omitempty"`
	WarnAtBytes      int64 `json:"warnAtBytes,omitempty"`
	DeleteAtBytes    int64 `json:"deleteAtBytes,omitempty"`
}

func (r ClaimRequest) body() map[string]any {
	body := map[string]any{"namespace": r.Namespace}
	if !r.Expires.IsZero() {
		body["expires"] = formatInstant(r.Expires)
	}
	if r.Contact != "" {
		body["contact"] = r.Contact
	} else if r.ClearContact {
		body["contact"] = nil
	}
	if r.QueueLimits != nil && *r.QueueLimits != (QueueLimits{}) {
		body["queueLimits"] = r.QueueLimits
	} else if r.QueueLimits != nil {
		body["queueLimits"] = nil
	}
	return body
}

// Claim is the result of a claim. It prints without its connection strings, which are secrets.
type Claim struct {
	Namespace string
	Created   time.Time
	// Expires is when the namespace and everything it owns is deleted, unless it is claimed again.
	Expires time.Time
	// ReclaimAt is when to claim again. The credentials work until then, at least.
	ReclaimAt time.Time
	// ConnectionString is the AMQP URL with the credentials.
	ConnectionString string
	// ConnectionStrings has a URL for each address of RabbitMQ, in the order to try them: the first is ConnectionString.
	// It is never empty.
	ConnectionStrings []string
}

// String has no secrets.
func (c Claim) String() string {
	return fmt.Sprintf("claim of %s until %s", c.Namespace, formatInstant(c.ReclaimAt))
}

// GoString has no secrets, either.
func (c Claim) GoString() string { return c.String() }

// LogValue has no secrets, either.
func (c Claim) LogValue() slog.Value { return slog.StringValue(c.String()) }

// UnmarshalJSON reads the result of a claim.
func (c *Claim) UnmarshalJSON(text []byte) error {
	var fields struct {
		Namespace, Created, Expires, ReclaimAt, ConnectionString string
		ConnectionStrings                                        []string
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	c.Namespace, c.ConnectionString, c.ConnectionStrings = fields.Namespace, fields.ConnectionString, fields.ConnectionStrings
	if c.ConnectionString == "" {
		return errors.New("there is no connectionString")
	}
	if len(c.ConnectionStrings) == 0 {
		c.ConnectionStrings = []string{c.ConnectionString}
	}
	return parseInstants(map[*time.Time]string{&c.Created: fields.Created, &c.Expires: fields.Expires, &c.ReclaimAt: fields.ReclaimAt})
}

func parseInstants(texts map[*time.Time]string) (err error) {
	for into, text := range texts {
		if *into, err = parseInstant(text); err != nil {
			return err
		}
	}
	return nil
}

// Namespace is the public view of a namespace.
type Namespace struct {
	Namespace string
	// Created is when it was first claimed in this incarnation.
	Created time.Time
	// Expires is when it and everything it owns is deleted.
	Expires time.Time
	// State is provisioning, active or expiring.
	State string
	// BlockedBy is what the deletion of an expiring namespace waits for, for people. Empty if it waits for nothing.
	BlockedBy string
	// Details are nil unless they were asked for, the client may see them, and the agent knows them.
	Details *Details
}

// Details are what a client that may claim or describe a namespace sees of it.
type Details struct {
	// Holder is the clientId of the latest claim.
	Holder string
	// LastClaim and NextRotation are zero where they are unknown.
	LastClaim, NextRotation time.Time
	// Counts are nil while they are unknown.
	Counts *Counts
}

// Counts are what a namespace had on RabbitMQ at an instant.
type Counts struct {
	At     time.Time
	Queues int
	// Messages leaves out those of UncountedQueues, whose depth is unknown: streams, and queues whose node is down.
	Messages, UncountedQueues int
	Connections               int
}

// UnmarshalJSON reads details.
func (d *Details) UnmarshalJSON(text []byte) error {
	var fields struct {
		Holder, LastClaim, NextRotation string
		Counts                          *struct {
			At                                             string
			Queues, Messages, UncountedQueues, Connections int
		}
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	d.Holder = fields.Holder
	texts := map[*time.Time]string{}
	if fields.LastClaim != "" {
		texts[&d.LastClaim] = fields.LastClaim
	}
	if fields.NextRotation != "" {
		texts[&d.NextRotation] = fields.NextRotation
	}
	if c := fields.Counts; c != nil {
		d.Counts = &Counts{Queues: c.Queues, Messages: c.Messages, UncountedQueues: c.UncountedQueues, Connections: c.Connections}
		texts[&d.Counts.At] = c.At
	}
	return parseInstants(texts)
}

// UnmarshalJSON reads a namespace.
func (n *Namespace) UnmarshalJSON(text []byte) error {
	var fields struct {
		Namespace, Created, Expires, State, BlockedBy string
		Details                                       *Details
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	n.Namespace, n.State, n.BlockedBy, n.Details = fields.Namespace, fields.State, fields.BlockedBy, fields.Details
	return parseInstants(map[*time.Time]string{&n.Created: fields.Created, &n.Expires: fields.Expires})
}

// ListRequest is how to list namespaces.
type ListRequest struct {
	// PageSize is how many namespaces a request asks for; 100 when 0.
	PageSize int
	// Details: asks for the details of each namespace, as GetDetails does.
	Details bool
}
