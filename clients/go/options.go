package pulseagent

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

// Options say which agent to call, over which broker, with which credentials.
type Options struct {
	// URL is the AMQP URL for requests, with the name and password of the agent's claimant or of a claimed account. Its path
	// is the vhost of the requests; without a path that is the agent's ID. For a cluster: one URL for each node, with commas
	// between, which differ in host and port only. The client tries them in turn.
	URL string
	// Credentials of Taskcluster, for methods that need a signature.
	Credentials Credentials
	// CredentialsFunc, where not nil, returns the current credentials, in place of Credentials. It is called for each
	// attempt that needs a signature. If it fails, the call does, and is not tried again.
	CredentialsFunc func(context.Context) (Credentials, error)
	// ID is the agent's id; "pulse-agent" when empty.
	ID string
	// RequestVhost is the vhost of the requests; when empty, the path of URL, and without one the ID.
	RequestVhost string
	// Audience is what the agent expects in signatures; "pulse-agent" when empty.
	Audience string
	// TLS configures connections to amqps URLs, also those of leases: a private CA, or a client certificate. When nil, the
	// CAs of the system are trusted.
	TLS *tls.Config
	// Timeout is how long a call may take with all its attempts, if its context does not end before; 30 s when 0.
	Timeout time.Duration

	// clock is replaced by tests.
	clock *clock
}

// String has no secrets.
func (o Options) String() string { return fmt.Sprintf("options for %s as %s", o.ID, o.Credentials) }

// GoString has no secrets, either.
func (o Options) GoString() string { return o.String() }

// LogValue has no secrets, either.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

const (
	defaultID = "pulse-agent"
	// An agent answers within 10 s or not at all.
	attemptTimeout = 15 * time.Second
	callTimeout    = 30 * time.Second
)

var (
	idForm       = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	audienceForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?$`)
)
