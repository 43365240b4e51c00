// Package pulseagent is the Go client of Pulse Agent: RabbitMQ credentials for a Taskcluster namespace, over AMQP, renewed
// for as long as a program runs.
//
//	client, err := pulseagent.New(pulseagent.Options{
//		URL:         os.Getenv("PULSE_AGENT_URL"),
//		Credentials: pulseagent.Credentials{ClientID: clientID, AccessToken: accessToken},
//	})
//	defer client.Close()
//	lease, err := client.Lease(ctx, pulseagent.LeaseRequest{Namespace: "taskcluster-builds"})
//	err = lease.KeepConnected(ctx, func(ctx context.Context, connection *amqp.Connection) error { … })
//
// The wire contract is docs/protocol.md of Pulse Agent.
package pulseagent

import (
	"context"
	"iter"
	"sync"
	"time"
)

// Client sends requests to an agent. It connects when it has a request to send, connects again by itself, asks for sealed
// results with a new key for each claim, and tries again what can succeed later, with a new signature, until the time for
// the call is up. Its methods may be called by several goroutines.
//
// Every error is an [*Error], except for the cause of a context that was cancelled.
type Client struct {
	options    Options
	clock      clock
	vhost      string
	connection *rpcConnection

	closing context.Context
	close   context.CancelCauseFunc

	mutex  sync.Mutex
	leases map[*Lease]bool
}

// New makes a client. It does not connect.
func New(options Options) (*Client, error) {
	urls, err := parseURLs(options.URL)
	if err != nil {
		return nil, err
	}
	if options.ID == "" {
		options.ID = defaultID
	}
	if options.Audience == "" {
		options.Audience = defaultID
	}
	if options.Timeout == 0 {
		options.Timeout = callTimeout
	}
	if !idForm.MatchString(options.ID) {
		return nil, inputError("id", "The option ID must consist of lower-case letters, digits and hyphens, at most 64, as the id of an agent.")
	}
	if !audienceForm.MatchString(options.Audience) || len(options.Audience) > 254 {
		return nil, inputError("audience", "The option Audience must be a host name: letters, digits, dots and hyphens, without a port, as the audience of an agent.")
	}
	if options.Timeout < 0 {
		return nil, inputError("timeout", "The option Timeout must be above 0.")
	}
	client := &Client{options: options, clock: systemClock(), leases: map[*Lease]bool{}}
	if options.clock != nil {
		client.clock = *options.clock
	}
	switch {
	case options.RequestVhost != "":
		client.vhost = options.RequestVhost
	case urls[0].vhost != "":
		client.vhost = urls[0].vhost
	default:
		client.vhost = options.ID
	}
	client.connection = client.connectionTo(urls)
	client.closing, client.close = context.WithCancelCause(context.Background())
	return client, nil
}

// String has no secrets.
func (c *Client) String() string { return "client of " + c.options.ID }

// GoString has no secrets, either.
func (c *Client) GoString() string { return c.String() }

// Ping checks that an agent is alive.
func (c *Client) Ping(ctx context.Context) (*Pong, error) {
	pong := &Pong{}
	return pong, c.call(ctx, "ping", map[string]any{}, pong)
}

// Claim claims a namespace, or claims it again.
func (c *Client) Claim(ctx context.Context, request ClaimRequest) (*Claim, error) {
	claim := &Claim{}
	if err := c.call(ctx, "claim-namespace", request.body(), claim); err != nil {
		return nil, err
	}
	return claim, nil
}

// Get returns one namespace.
func (c *Client) Get(ctx context.Context, namespace string) (*Namespace, error) {
	found := &Namespace{}
	if err := c.call(ctx, "get-namespace", map[string]any{"namespace": namespace}, found); err != nil {
		return nil, err
	}
	return found, nil
}

// Describe returns what an owner wants to know of a namespace: its queues, how they grow and when they reach their next
// threshold, its alerts, and what was done. It needs the scope pulse:namespace:<namespace> or pulse:describe:<namespace>. An
// agent that is older than the method answers an [InputError] for the field method.
func (c *Client) Describe(ctx context.Context, namespace string) (*Description, error) {
	description := &Description{}
	if err := c.call(ctx, "describe-namespace", map[string]any{"namespace": namespace}, description); err != nil {
		return nil, err
	}
	return description, nil
}

// GetDetails returns one namespace, with its details if the client may claim it, or has the scope
// pulse:describe:<namespace>. An older agent returns none.
func (c *Client) GetDetails(ctx context.Context, namespace string) (*Namespace, error) {
	found := &Namespace{}
	body := map[string]any{"namespace": namespace}
	if err := c.callOver(ctx, c.connection, call{method: "get-namespace", body: body, signed: true}, found); err != nil {
		return nil, err
	}
	return found, nil
}

// List returns all namespaces, sorted by name. It asks for a page when that is needed, and ends after an error.
//
//	for namespace, err := range client.List(ctx, pulseagent.ListRequest{}) { … }
func (c *Client) List(ctx context.Context, request ListRequest) iter.Seq2[*Namespace, error] {
	return func(yield func(*Namespace, error) bool) {
		body := map[string]any{}
		if request.PageSize != 0 {
			body["limit"] = request.PageSize
		}
		for {
			var page struct {
				Namespaces        []*Namespace
				ContinuationToken string
			}
			if err := c.callOver(ctx, c.connection, call{method: "list-namespaces", body: body, signed: request.Details}, &page); err != nil {
				yield(nil, err)
				return
			}
			for _, namespace := range page.Namespaces {
				if !yield(namespace, nil) {
					return
				}
			}
			if page.ContinuationToken == "" {
				return
			}
			body["continuationToken"] = page.ContinuationToken
		}
	}
}

// Release releases a namespace: the agent deletes it and everything it owns.
func (c *Client) Release(ctx context.Context, namespace string) error {
	return c.call(ctx, "release-namespace", map[string]any{"namespace": namespace}, &struct{}{})
}

// Revoke revokes all credentials of a namespace; that is for operators. Unless until is zero, the agent refuses claims
// until then. Revoke returns until when it refuses them, zero if it does not.
func (c *Client) Revoke(ctx context.Context, namespace string, until time.Time) (time.Time, error) {
	body := map[string]any{"namespace": namespace}
	if !until.IsZero() {
		body["until"] = formatInstant(until)
	}
	var result struct{ RevokedUntil string }
	if err := c.call(ctx, "revoke-namespace", body, &result); err != nil || result.RevokedUntil == "" {
		return time.Time{}, err
	}
	refused, err := parseInstant(result.RevokedUntil)
	if err != nil {
		return time.Time{}, badResult(err)
	}
	return refused, nil
}

// Close stops the leases without releasing them, ends calls in progress, and closes the connections that the client opened.
// It returns within three seconds, after the sessions of KeepConnected have had their time to finish, and leaves no
// goroutine. A session must not call it.
func (c *Client) Close() error {
	reason := clientClosed("The client is closed.")
	c.mutex.Lock()
	c.close(reason)
	leases := make([]*Lease, 0, len(c.leases))
	for lease := range c.leases {
		leases = append(leases, lease)
	}
	c.mutex.Unlock()
	for _, lease := range leases {
		lease.stopWith(reason)
	}
	for _, lease := range leases {
		lease.Stop()
	}
	c.connection.closeWith(reason)
	return nil
}

func (c *Client) connectionTo(urls []brokerURL) *rpcConnection {
	// Clients of one cluster spread over its nodes.
	order := newAddresses(len(urls), c.clock.random(), c.clock.monotonic)
	return newRPCConnection(withVhost(urls, c.vhost), order, dialOptions{tls: c.options.TLS}, rpcOptions{
		id: c.options.ID, audience: c.options.Audience, wall: c.clock.wall,
	})
}
