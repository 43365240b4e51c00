package pulseagent

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// The driver of the behaviour suite; test/clients/driver.ts has the commands. It is built with the tests, because it sets
// the clock, and asks for decisions. Go ends a process whatever it has left: the driver looks for goroutines itself.

// command is a line of the input. The fields that belong to it are there.
type command struct {
	ID int
	Do string

	Client, URL, AgentID, Audience, CA string
	Credentials                        Credentials
	TimeoutMs, ClockAheadMs, AheadMs   float64

	Namespace, Expires, Until string
	Contact, QueueLimits      json.RawMessage
	PageSize                  int
	Lease                     string
	Release                   bool

	Held struct{ ClaimedMs, ReclaimMs, ExpiresMs float64 }

	ClaimedMs, ReclaimMs, NowMs, LeftMs, Random float64
	Code                                        Code
	Failures                                    int
	CredentialsRefused, Retryable, NoReply      bool
	Method                                      string
	Details                                     map[string]any
}

type object map[string]any

type driver struct {
	printing sync.Mutex
	out      *json.Encoder

	mutex   sync.Mutex
	clients map[string]*Client
	aheadMs map[string]*atomic.Int64
	leases  map[string]*Lease
}

func runDriver(in io.Reader, out io.Writer) int {
	d := &driver{out: json.NewEncoder(out), clients: map[string]*Client{}, aheadMs: map[string]*atomic.Int64{}, leases: map[string]*Lease{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	var running sync.WaitGroup
	for lines.Scan() {
		c := command{}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, "a line of the input:", err)
			return 1
		}
		running.Go(func() { d.run(c) })
	}
	for _, client := range d.clients {
		client.Close()
	}
	running.Wait()
	if left := goroutinesLeft(""); left != "" {
		fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", left)
		return 1
	}
	return 0
}

func (d *driver) run(c command) {
	ctx := context.Background()
	if c.TimeoutMs > 0 {
		limited, cancel := context.WithTimeout(ctx, milliseconds(c.TimeoutMs))
		defer cancel()
		ctx = limited
	}
	if result, err := d.do(ctx, c); err != nil {
		d.print(object{"id": c.ID, "error": errorObject(err)})
	} else {
		d.print(object{"id": c.ID, "result": result})
	}
}

func (d *driver) print(line object) {
	d.printing.Lock()
	defer d.printing.Unlock()
	d.out.Encode(line)
}

func (d *driver) do(ctx context.Context, c command) (object, error) {
	d.mutex.Lock()
	client, lease, ahead := d.clients[c.Client], d.leases[c.Lease], d.aheadMs[c.Client]
	d.mutex.Unlock()
	switch c.Do {
	case "open":
		return object{}, d.open(c)
	case "set-clock":
		ahead.Store(int64(c.AheadMs))
		return object{}, nil
	case "ping":
		pong, err := client.Ping(ctx)
		if err != nil {
			return nil, err
		}
		return object{"alive": pong.Alive, "uptimeSeconds": pong.UptimeSeconds, "version": pong.Version, "agent": pong.Agent}, nil
	case "claim":
		claim, err := client.Claim(ctx, ClaimRequest{Namespace: c.Namespace, Expires: instant(c.Expires), Contact: c.contact(), ClearContact: string(c.Contact) == "null", QueueLimits: c.limits()})
		if err != nil {
			return nil, err
		}
		return object{
			"namespace": claim.Namespace, "created": text(claim.Created), "expires": text(claim.Expires), "reclaimAt": text(claim.ReclaimAt),
			"connectionString": claim.ConnectionString, "connectionStrings": claim.ConnectionStrings,
		}, nil
	case "get":
		namespace, err := client.Get(ctx, c.Namespace)
		if err != nil {
			return nil, err
		}
		return namespaceObject(namespace), nil
	case "describe":
		description, err := client.Describe(ctx, c.Namespace)
		if err != nil {
			return nil, err
		}
		return descriptionObject(description), nil
	case "list":
		namespaces := []object{}
		for namespace, err := range client.List(ctx, ListRequest{PageSize: c.PageSize}) {
			if err != nil {
				return nil, err
			}
			namespaces = append(namespaces, namespaceObject(namespace))
		}
		return object{"namespaces": namespaces}, nil
	case "release":
		// A release that succeeded has no other result.
		return object{"namespace": c.Namespace, "state": "expiring"}, client.Release(ctx, c.Namespace)
	case "revoke":
		until, err := client.Revoke(ctx, c.Namespace, instant(c.Until))
		result := object{"namespace": c.Namespace}
		if !until.IsZero() {
			result["revokedUntil"] = text(until)
		}
		return result, err
	case "lease":
		return d.lease(ctx, client, c)
	case "held":
		return heldObject(lease)
	case "credentials":
		credentials, err := lease.Credentials(ctx)
		if err != nil {
			return nil, err
		}
		return object{"connectionString": credentials.ConnectionStrings[0]}, nil
	case "stop":
		if c.Release {
			return object{}, lease.Release(ctx)
		}
		lease.Stop()
		return object{}, nil
	case "close":
		return object{}, client.Close()
	case "decide-renewal":
		at := decideRenewal(heldClaim{claimed: unixMs(c.ClaimedMs), reclaim: unixMs(c.ReclaimMs)}, c.Random)
		return object{"atMs": at.UnixMilli()}, nil
	case "decide-after-failure":
		decided := decideAfterFailure(
			heldClaim{unixMs(c.Held.ClaimedMs), unixMs(c.Held.ReclaimMs), unixMs(c.Held.ExpiresMs)},
			failedRenewal{c.Code, c.Failures, c.CredentialsRefused, unixMs(c.NowMs), milliseconds(c.AheadMs), c.Random},
		)
		if decided.lost != "" {
			return object{"next": "lost", "reason": decided.lost}, nil
		}
		return object{"next": "claim", "atMs": decided.claimAt.UnixMilli()}, nil
	case "decide-retry":
		failed := newError(c.Code, "", nil)
		failed.Retryable, failed.MayHaveActed = c.Retryable, c.NoReply
		if c.Details != nil {
			failed.Details = c.Details
		}
		pause, retried := decideRetry(failedAttempt{failed, c.Method, c.Failures, milliseconds(c.LeftMs), unixMs(c.NowMs), c.Random})
		if !retried {
			return object{"pauseMs": nil}, nil
		}
		return object{"pauseMs": float64(pause) / float64(time.Millisecond)}, nil
	}
	return nil, fmt.Errorf("there is no command %q", c.Do)
}

func (d *driver) open(c command) error {
	ahead := &atomic.Int64{}
	ahead.Store(int64(c.ClockAheadMs))
	clock := systemClock()
	wall := clock.wall
	clock.wall = func() time.Time { return wall().Add(time.Duration(ahead.Load()) * time.Millisecond) }
	options := Options{
		URL: c.URL, ID: c.AgentID, Audience: c.Audience, Credentials: c.Credentials, Timeout: milliseconds(c.TimeoutMs), clock: &clock,
	}
	if c.CA != "" {
		options.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		options.TLS.RootCAs.AppendCertsFromPEM([]byte(c.CA))
	}
	client, err := New(options)
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.clients[c.Client], d.aheadMs[c.Client] = client, ahead
	return err
}

func (d *driver) lease(ctx context.Context, client *Client, c command) (object, error) {
	event := func(name string, data object) {
		data["event"], data["lease"] = name, c.Lease
		d.print(data)
	}
	request := LeaseRequest{
		Namespace: c.Namespace, Contact: c.contact(), QueueLimits: c.limits(),
		OnRenewed: func(r Renewed) {
			event("renewed", object{"changed": r.Changed, "reclaimAt": text(r.ReclaimAt), "expires": text(r.Expires)})
		},
		OnFailing: func(f Failing) {
			event("failing", object{"error": errorObject(f.Err), "failures": f.Failures, "retryAt": text(f.RetryAt), "reclaimAt": text(f.ReclaimAt)})
		},
		OnLost: func(lost *Error) { event("lost", object{"error": errorObject(lost)}) },
	}
	if c.Expires != "" {
		request.Expires = func() time.Time { return instant(c.Expires) }
	}
	lease, err := client.Lease(ctx, request)
	if err != nil {
		return nil, err
	}
	d.mutex.Lock()
	d.leases[c.Lease] = lease
	d.mutex.Unlock()
	return heldObject(lease)
}

func heldObject(lease *Lease) (object, error) {
	urls, err := lease.ConnectionStrings()
	if err != nil {
		return nil, err
	}
	return object{"connectionString": urls[0], "connectionStrings": urls, "reclaimAt": text(lease.ReclaimAt()), "expires": text(lease.Expires())}, nil
}

func namespaceObject(n *Namespace) object {
	return object{"namespace": n.Namespace, "created": text(n.Created), "expires": text(n.Expires), "state": n.State}
}

func descriptionObject(d *Description) object {
	queues, audit := []object{}, []object{}
	for _, q := range d.Queues {
		queues = append(queues, object{
			"queue": q.Queue, "state": q.State, "messages": q.Messages, "ready": q.Ready, "unacknowledged": q.Unacknowledged, "next": q.Next != nil,
		})
	}
	for _, entry := range d.Audit {
		audit = append(audit, object{"action": entry.Action, "by": entry.By, "clientId": entry.ClientID})
	}
	observedAt := ""
	if len(d.ObservedAt) > 0 {
		observedAt = text(d.ObservedAt[len(d.ObservedAt)-1])
	}
	return object{
		"namespace": d.Namespace, "state": d.State, "holder": d.Holder, "created": text(d.Created), "expires": text(d.Expires),
		"nextRotation": text(d.NextRotation), "connections": d.Connections, "observedAt": observedAt, "queues": queues,
		"moreQueues": d.MoreQueues, "alerts": []object{}, "audit": audit,
	}
}

func errorObject(err error) object {
	failed, isError := err.(*Error)
	if !isError {
		return object{"type": fmt.Sprintf("%T", err), "message": err.Error()}
	}
	result := object{"type": failed.Code, "code": failed.Code, "retryable": failed.Retryable, "message": failed.Message, "details": failed.Details}
	if failed.ClockAhead != 0 {
		result["type"], result["aheadMs"] = "ClockSkew", failed.ClockAhead.Milliseconds()
	}
	if failed.Code == Unavailable {
		result["mayHaveActed"] = failed.MayHaveActed
	}
	return result
}

func (c command) contact() (contact string) {
	json.Unmarshal(c.Contact, &contact)
	return contact
}

// limits are without any limit where they are null.
func (c command) limits() *QueueLimits {
	if len(c.QueueLimits) == 0 {
		return nil
	}
	limits := &QueueLimits{}
	json.Unmarshal(c.QueueLimits, limits)
	return limits
}

func instant(text string) time.Time {
	read, _ := parseInstant(text)
	return read
}

func text(instant time.Time) string { return instant.UTC().Format("2006-01-02T15:04:05.000Z") }

func unixMs(ms float64) time.Time { return time.UnixMilli(int64(ms)) }

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
