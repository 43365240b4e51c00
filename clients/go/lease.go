package pulseagent

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// The longest sleep between two checks of the clocks: notices a suspended machine and a clock that was set.
	checkClocksEvery = 30 * time.Second
	// How long Credentials returns the current credentials without claiming again.
	freshTime = 2 * time.Second
	// How long Credentials waits for a claim before it returns the current credentials.
	claimTimeout = 5 * time.Second
	// While no agent answers, a connection is used for at least this long.
	recycleAfter = 5 * time.Minute
)

// leaseParts are how a lease claims. Tests replace them.
type leaseParts struct {
	claim func(context.Context) (*Claim, error)
	// claimWith claims with the current credentials, given as the URLs of all addresses with commas between.
	claimWith func(ctx context.Context, connectionStrings string) (*Claim, error)
	release   func(context.Context) error
	onStopped func()
	clock     clock
	dial      dialOptions
}

// Lease is a claim that is renewed in time, until the lease is stopped: when 90 to 95 % of the time until its ReclaimAt have
// passed. [Client.Lease] returns one. Its methods may be called by several goroutines.
//
// Restarts of RabbitMQ or of agents, and even an hour without an agent, do not lose a lease. It is lost when the credentials
// can no longer be valid; only a new lease gets new ones. See [Reason].
type Lease struct {
	parts   leaseParts
	request LeaseRequest

	// over ends when the lease is lost or stopped, with the reason.
	over context.Context
	end  context.CancelCauseFunc
	// background counts the goroutines of the lease.
	background sync.WaitGroup
	wake       chan struct{}

	mutex sync.Mutex
	claim *Claim
	held  heldClaim
	next  dueTime
	// changed is closed and replaced when the credentials change.
	changed  chan struct{}
	failures int
	// renewing is closed when the renewal that runs has ended; nil without one.
	renewing chan struct{}
	// dead is why the credentials no longer work. Those of a lease that was only stopped do.
	dead *Error
	// events are the calls of the request's functions that have not begun.
	events    []func()
	notifying bool
}

// Lease claims a namespace, and renews the claim in time until the lease is stopped or the client closed. The context is that
// of the first claim alone.
func (c *Client) Lease(ctx context.Context, request LeaseRequest) (*Lease, error) {
	body := func() map[string]any {
		claim := ClaimRequest{Namespace: request.Namespace, Contact: request.Contact, QueueLimits: request.QueueLimits}
		if request.Expires != nil {
			claim.Expires = request.Expires()
		}
		return claim.body()
	}
	first := &Claim{}
	if err := c.call(ctx, "claim-namespace", body(), first); err != nil {
		return nil, err
	}
	var lease *Lease
	parts := leaseParts{
		claim: func(ctx context.Context) (*Claim, error) { return c.claimForLease(ctx, c.connection, body()) },
		claimWith: func(ctx context.Context, connectionStrings string) (*Claim, error) {
			return c.claimWith(ctx, connectionStrings, body())
		},
		release: func(ctx context.Context) error { return c.Release(ctx, request.Namespace) },
		onStopped: func() {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			delete(c.leases, lease)
		},
		clock: c.clock,
		dial:  dialOptions{tls: c.options.TLS, heartbeat: heartbeat},
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closing.Err() != nil {
		return nil, context.Cause(c.closing)
	}
	lease = newLease(first, request, parts)
	c.leases[lease] = true
	return lease, nil
}

func newLease(first *Claim, request LeaseRequest, parts leaseParts) *Lease {
	lease := &Lease{parts: parts, request: request, wake: make(chan struct{}, 1), changed: make(chan struct{})}
	lease.over, lease.end = context.WithCancelCause(context.Background())
	lease.take(first)
	lease.background.Go(lease.run)
	return lease
}

// take makes a claim the current one. The caller holds the mutex, or nothing else has the lease.
func (l *Lease) take(claim *Claim) {
	l.claim = claim
	l.held = heldClaim{claimed: l.parts.clock.wall(), reclaim: claim.ReclaimAt, expires: claim.Expires}
	l.failures = 0
	l.next = l.parts.clock.due(decideRenewal(l.held, l.parts.clock.random()))
}

// String has no secrets.
func (l *Lease) String() string { return "lease of " + l.request.Namespace }

// GoString has no secrets, either.
func (l *Lease) GoString() string { return l.String() }

// Namespace is the name of the namespace.
func (l *Lease) Namespace() string { return l.request.Namespace }

// ConnectionString is the AMQP URL with the current credentials. It is a secret. It returns the LeaseLost if the lease is
// lost, a ClientClosed if it was released.
func (l *Lease) ConnectionString() (string, error) {
	urls, err := l.ConnectionStrings()
	if err != nil {
		return "", err
	}
	return urls[0], nil
}

// ConnectionStrings are AMQP URLs with the current credentials, one for each address of RabbitMQ, in the order to try them:
// the first is that of ConnectionString. Secrets.
func (l *Lease) ConnectionStrings() ([]string, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.dead != nil {
		return nil, l.dead
	}
	return append([]string(nil), l.claim.ConnectionStrings...), nil
}

// ReclaimAt is until when the current credentials work, at least.
func (l *Lease) ReclaimAt() time.Time {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.held.reclaim
}

// Expires is when the namespace is deleted unless it is claimed again.
func (l *Lease) Expires() time.Time {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.held.expires
}

// Done is closed when the lease is lost or stopped. Err says which.
func (l *Lease) Done() <-chan struct{} { return l.over.Done() }

// Err is nil while the lease is held; then the LeaseLost, or a ClientClosed.
func (l *Lease) Err() error { return context.Cause(l.over) }

// Changed is closed when the lease has other credentials than when Changed was called.
func (l *Lease) Changed() <-chan struct{} {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.changed
}

// Credentials returns the credentials for a new connection. It claims again first, because a revocation may have closed the
// connection before; if no agent answers within 5 s, it returns the current credentials. It returns the error of Err if the
// lease is over.
func (l *Lease) Credentials(ctx context.Context) (ConnectionCredentials, error) {
	if err := l.claimAgain(ctx); err != nil {
		return ConnectionCredentials{}, err
	}
	urls, err := l.ConnectionStrings()
	if err != nil {
		return ConnectionCredentials{}, err
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	recycle := l.held.reclaim
	if later := l.parts.clock.wall().Add(recycleAfter); l.failures > 0 && later.After(recycle) {
		recycle = later
	}
	return ConnectionCredentials{urls, recycle}, nil
}

// claimAgain claims unless the last claim is a moment old.
func (l *Lease) claimAgain(ctx context.Context) error {
	if err := l.Err(); err != nil {
		return err
	}
	l.mutex.Lock()
	wanted := l.failures == 0 && l.parts.clock.wall().Sub(l.held.claimed) > freshTime
	l.mutex.Unlock()
	if wanted {
		timer := time.NewTimer(claimTimeout)
		defer timer.Stop()
		select {
		case <-l.renew():
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.over.Done():
		}
	}
	return l.Err()
}

// Stop stops renewing and closes the connections of KeepConnected. The namespace stays until it expires. A session must not
// call it: it returns StopSessions, or ends the context of KeepConnected.
func (l *Lease) Stop() {
	l.stopWith(clientClosed("The lease was stopped."))
	l.background.Wait()
}

// Release stops the lease and releases the namespace: the agent deletes it and everything it owns.
func (l *Lease) Release(ctx context.Context) error {
	l.Stop()
	l.mutex.Lock()
	if l.dead == nil {
		l.dead = clientClosed("The lease was released.")
	}
	l.mutex.Unlock()
	return l.parts.release(ctx)
}

func (l *Lease) stopWith(reason *Error) {
	// With the mutex no goroutine of the lease begins from then on.
	l.mutex.Lock()
	l.end(reason)
	l.mutex.Unlock()
	l.parts.onStopped()
}

// run renews when it is time, until the lease is over.
func (l *Lease) run() {
	for l.over.Err() == nil {
		l.mutex.Lock()
		left := l.parts.clock.until(l.next)
		l.mutex.Unlock()
		var renewed <-chan struct{}
		if left <= 0 {
			renewed = l.renew()
			left = checkClocksEvery
		}
		timer := time.NewTimer(min(left, checkClocksEvery))
		select {
		case <-timer.C:
		case <-renewed:
		case <-l.wake:
		case <-l.over.Done():
		}
		timer.Stop()
	}
}

// renew claims again, one renewal at a time for all callers. The channel is closed when it has ended, well or not.
func (l *Lease) renew() <-chan struct{} {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.renewing != nil {
		return l.renewing
	}
	done := make(chan struct{})
	if l.over.Err() != nil {
		close(done)
		return done
	}
	l.renewing = done
	l.background.Go(func() {
		claim, err := l.parts.claim(l.over)
		if err == nil {
			l.renewed(claim)
		} else {
			l.failed(asError(err))
		}
		l.mutex.Lock()
		l.renewing = nil
		l.mutex.Unlock()
		close(done)
		// The time of the next renewal has changed.
		select {
		case l.wake <- struct{}{}:
		default:
		}
	})
	return done
}

func (l *Lease) renewed(claim *Claim) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.over.Err() != nil {
		return
	}
	changed := claim.ConnectionString != l.claim.ConnectionString
	l.take(claim)
	if changed {
		close(l.changed)
		l.changed = make(chan struct{})
	}
	if notify := l.request.OnRenewed; notify != nil {
		event := Renewed{changed, l.held.reclaim, l.held.expires}
		l.notifyLocked(func() { notify(event) })
	}
}

func (l *Lease) failed(err *Error) {
	err, refused, renewed := l.claimAsHolder(err)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if renewed || l.over.Err() != nil {
		return
	}
	l.failures++
	clock := l.parts.clock
	decision := decideAfterFailure(l.held, failedRenewal{
		code: err.Code, failures: l.failures, credentialsRefused: refused,
		now: clock.wall(), ahead: err.ClockAhead, random: clock.random(),
	})
	if decision.lost != "" {
		l.loseLocked(leaseLost(decision.lost, l.request.Namespace, err))
		return
	}
	l.next = clock.due(decision.claimAt)
	notify, event := l.request.OnFailing, Failing{err, l.failures, decision.claimAt, l.held.reclaim}
	if notify == nil {
		notify = l.warnFailing
	}
	l.notifyLocked(func() { notify(event) })
}

func (l *Lease) warnFailing(event Failing) {
	slog.Warn("cannot renew the lease of a Pulse namespace", "namespace", l.request.Namespace, "error", event.Err,
		"failures", event.Failures, "retryAt", event.RetryAt, "reclaimAt", event.ReclaimAt)
}

// claimAsHolder claims with the current credentials if those of the client do not work: the claimant's password may have
// changed, or its limit of connections may be reached. After reclaimAt, this also shows whether the current credentials still
// work. It returns the error that counts, and whether RabbitMQ refused the current credentials.
func (l *Lease) claimAsHolder(err *Error) (counts *Error, refused, renewed bool) {
	l.mutex.Lock()
	beforeReclaim := l.parts.clock.wall().Before(l.held.reclaim)
	urls := strings.Join(l.claim.ConnectionStrings, ",")
	l.mutex.Unlock()
	final := err.Code == InsufficientScopes || err.Code == RequestConflict
	if l.over.Err() != nil || final || beforeReclaim && err.Code != BrokerRefused {
		return err, false, false
	}
	claim, failure := l.parts.claimWith(l.over, urls)
	if failure == nil {
		l.renewed(claim)
		return nil, false, true
	}
	own := asError(failure)
	// Where RabbitMQ refuses the vhost or TLS fails, the credentials may be valid.
	refused = own.Code == BrokerRefused && own.Refused != RefusedVhost && own.Refused != RefusedTLS
	if err.Code == BrokerRefused && !refused {
		return own, refused, false
	}
	return err, refused, false
}

func (l *Lease) loseLocked(lost *Error) {
	l.dead = lost
	l.end(lost)
	// It takes the mutex of the client, which takes that of no lease.
	l.parts.onStopped()
	notify := l.request.OnLost
	if notify == nil {
		// A program that does not ask would go on without credentials.
		notify = func(lost *Error) {
			slog.Error("the lease of a Pulse namespace is lost", "namespace", l.request.Namespace, "error", lost)
		}
	}
	l.notifyLocked(func() { notify(lost) })
}

// notifyLocked calls a function of the request when those before it have returned. The goroutine that calls them does not
// belong to the lease: the function may stop the lease.
func (l *Lease) notifyLocked(event func()) {
	l.events = append(l.events, event)
	if l.notifying {
		return
	}
	l.notifying = true
	go func() {
		for {
			l.mutex.Lock()
			if len(l.events) == 0 {
				l.notifying = false
				l.mutex.Unlock()
				return
			}
			next := l.events[0]
			l.events = l.events[1:]
			l.mutex.Unlock()
			next()
		}
	}()
}
