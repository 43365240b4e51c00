package pulseagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// The pauses before another connection after one that failed or was lost.
	firstConnectPause = 250 * time.Millisecond
	maxConnectPause   = 10 * time.Second
	// The loss of a connection that has lasted this long does not lengthen the pause.
	stableTime = 10 * time.Second
	// How long a session may take to return when its context has ended. Then its connection is closed.
	drainTime = 10 * time.Second
)

// Session uses one connection of a lease: it opens channels, declares, publishes and consumes. It returns when its context
// ends or the connection is lost, and anything may be left to the next session.
type Session func(ctx context.Context, connection *amqp.Connection) error

// stopped is the error of StopSessions.
type stopped struct{ err error }

func (s stopped) Error() string { return fmt.Sprintf("the session ends KeepConnected: %v", s.err) }
func (s stopped) Unwrap() error { return s.err }

// StopSessions makes KeepConnected return err, which may be nil, when a session returns it.
func StopSessions(err error) error { return stopped{err} }

// Dial opens a connection with the current credentials, at the first address of RabbitMQ that works. Like Credentials it
// claims again first. The caller closes it.
//
// It lasts until RabbitMQ or the agent ends it: see KeepConnected, which opens the next one in time.
func (l *Lease) Dial(ctx context.Context) (*amqp.Connection, error) {
	opened, _, err := l.dial(ctx, nil)
	if err != nil {
		return nil, err
	}
	return opened.Connection, nil
}

// dial opens a connection; with the addresses of earlier ones it avoids those that failed. The channel is closed when the
// lease has other credentials than the connection.
func (l *Lease) dial(ctx context.Context, order *addresses) (*brokerConnection, <-chan struct{}, error) {
	if err := l.claimAgain(ctx); err != nil {
		return nil, nil, err
	}
	l.mutex.Lock()
	text, changed := strings.Join(l.claim.ConnectionStrings, ","), l.changed
	l.mutex.Unlock()
	urls, err := parseURLs(text)
	if err != nil {
		return nil, nil, err
	}
	if order == nil || len(order.preferred) != len(urls) {
		order = newAddresses(len(urls), 0, l.parts.clock.monotonic)
	}
	connection, err := order.connect(urls, func(url brokerURL) (*brokerConnection, error) { return dial(ctx, url, l.parts.dial) })
	return connection, changed, err
}

// KeepConnected runs a session on one connection after the other, until the context ends, the lease is over, or a session
// returns [StopSessions]. No connection lasts for ever: the agent closes those that are older than some days, a revocation
// and the network close others.
//
// The context of a session ends when the lease has other credentials, which with usual settings is once an hour, and when the
// connection is lost. In the first case the session has ten seconds to finish what it has begun and return: acknowledge what
// was delivered, wait for confirms. Then the next one begins with the other credentials; messages wait in their queues
// meanwhile. After a lost connection, or when a session returns for any other reason, the next one begins after a pause of 0.1
// to 0.3 s, and up to 10 s if that happens again and again.
//
// It returns the cause of the context, or the error of Err. The first connection is not tried again when RabbitMQ refuses it.
func (l *Lease) KeepConnected(ctx context.Context, session Session) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.background.Done()
	ended, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(l.over, func() { end(l.Err()) })()

	urls, err := l.ConnectionStrings()
	if err != nil {
		return err
	}
	order := newAddresses(len(urls), 0, l.parts.clock.monotonic)
	for failures, first := 0, true; ; first = false {
		began := l.parts.clock.monotonic()
		connection, changed, err := l.dial(ended, order)
		if err == nil {
			err = runSession(ended, connection, changed, session)
		} else if first && errors.Is(err, BrokerRefused) {
			return err
		}
		var stop stopped
		switch {
		case ended.Err() != nil:
			return context.Cause(ended)
		case errors.As(err, &stop):
			return stop.err
		case errors.Is(err, errChanged):
			failures = 0
			continue
		}
		if connection != nil && l.parts.clock.monotonic()-began >= stableTime {
			failures = 0
		}
		failures++
		pause := jitteredBackoff(failures, l.parts.clock.random(), firstConnectPause, maxConnectPause)
		l.disconnected(Disconnected{err, l.parts.clock.wall().Add(pause)})
		if sleep(ended, pause) != nil {
			return context.Cause(ended)
		}
	}
}

// enter counts a caller of KeepConnected, for which Stop waits.
func (l *Lease) enter() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	l.background.Add(1)
	return nil
}

func (l *Lease) disconnected(event Disconnected) {
	notify := l.request.OnDisconnected
	if notify == nil {
		notify = func(event Disconnected) {
			slog.Warn("a connection to a Pulse namespace ended", "namespace", l.request.Namespace, "error", event.Err, "retryAt", event.RetryAt)
		}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.notifyLocked(func() { notify(event) })
}

var (
	errChanged  = errors.New("the lease has other credentials")
	errReturned = errors.New("the session returned while its connection was open")
)

// runSession runs a session on a connection and closes it. It returns errChanged when the session returned because the lease
// has other credentials, and else why the connection or the session ended, never nil.
func runSession(ctx context.Context, connection *brokerConnection, changed <-chan struct{}, session Session) error {
	inner, end := context.WithCancelCause(ctx)
	defer end(nil)
	closed := connection.NotifyClose(make(chan *amqp.Error, 1))
	returned := make(chan error, 1)
	go func() { returned <- session(inner, connection.Connection) }()
	var err error
	select {
	case err = <-returned:
		// The reason for which RabbitMQ closed the connection says more than what the session made of it.
		if lost := reasonNow(closed, connection); lost != nil && !errors.As(err, new(stopped)) {
			err = lost
		}
		connection.Close()
	case reason := <-closed:
		err = lostConnection(reason)
		end(err)
		err = orStopped(<-returned, err)
	case <-changed:
		end(errChanged)
		err = orStopped(finish(returned, connection), errChanged)
	case <-ctx.Done():
		end(nil)
		err = finish(returned, connection)
	}
	if err == nil {
		err = errReturned
	}
	return err
}

// finish waits until the session returns, and closes the connection, after drainTime in any case.
func finish(returned <-chan error, connection *brokerConnection) error {
	timer := time.AfterFunc(drainTime, func() { connection.Close() })
	err := <-returned
	timer.Stop()
	connection.Close()
	return err
}

func orStopped(err, other error) error {
	if errors.As(err, new(stopped)) {
		return err
	}
	return other
}

// reasonNow returns why the connection has ended, nil if it is open.
func reasonNow(closed <-chan *amqp.Error, connection *brokerConnection) error {
	if !connection.IsClosed() {
		return nil
	}
	return lostConnection(<-closed)
}

func lostConnection(reason *amqp.Error) error {
	if reason == nil {
		return unavailable(nil, "The connection was closed.")
	}
	return unavailable(reason, "The connection was lost: %s.", reasonOf(reason))
}
