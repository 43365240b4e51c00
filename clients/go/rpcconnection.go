package pulseagent

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// How long an unused connection stays open. Many clients share the claimant's limit of connections.
	idleTime = 20 * time.Second
	// With RabbitMQ's minute, both sides would notice late that a connection is lost, or was closed while an alarm blocked it.
	heartbeat = 10 * time.Second
	// RabbitMQ reads slowly or not at all.
	rpcWriteTimeout = 10 * time.Second
)

// rpcConnection makes requests over a connection that is opened on demand, opened again after it was lost, and closed when
// it is idle.
type rpcConnection struct {
	urls      []brokerURL
	addresses *addresses
	dial      dialOptions
	options   rpcOptions

	// closing ends connections that open. Its cause is a ClientClosed.
	closing context.Context
	close   context.CancelCauseFunc
	// background counts the goroutines that open and close connections.
	background sync.WaitGroup

	mutex   sync.Mutex
	opening *rpcOpening
	users   int
	idle    *time.Timer
}

// rpcOpening is a connection that opens, or is open.
type rpcOpening struct {
	// done is closed when it is open or has failed.
	done chan struct{}
	rpc  *rpc
	err  error
}

func newRPCConnection(urls []brokerURL, order *addresses, dialing dialOptions, options rpcOptions) *rpcConnection {
	dialing.heartbeat, dialing.writeTimeout = heartbeat, rpcWriteTimeout
	closing, end := context.WithCancelCause(context.Background())
	return &rpcConnection{urls: urls, addresses: order, dial: dialing, options: options, closing: closing, close: end}
}

// request sends one request and returns the JSON of its result. While an alarm blocks the connection, it waits until that is
// over. leftFor is asked for the time-out of the request once it can be sent.
func (c *rpcConnection) request(ctx context.Context, request call, leftFor func() time.Duration) ([]byte, error) {
	c.enter()
	defer c.leave()
	open, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := open.rpc.untilNoAlarm(ctx); err != nil {
		return nil, err
	}
	request.timeout = leftFor()
	result, err := open.rpc.request(ctx, request)
	var failed *Error
	if errors.As(err, &failed) && failed.MayHaveActed && !failed.confirmed {
		return nil, c.explainNoReply(failed, open)
	}
	return result, err
}

// explainNoReply: a request that RabbitMQ has not confirmed waits for the end of an alarm, or the connection is lost.
func (c *rpcConnection) explainNoReply(failed *Error, open *rpcOpening) error {
	if reason, _ := open.rpc.currentAlarm(); reason != "" {
		return noReply(false, failed, "%s", alarmText(reason))
	}
	// Heartbeats would report it only after 20 s.
	open.rpc.connection.avoidAddress()
	c.forget(open)
	return failed
}

func (c *rpcConnection) enter() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.users++
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
}

func (c *rpcConnection) leave() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.users--; c.users > 0 || c.opening == nil || c.closing.Err() != nil {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(idleTime, func() {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		// Unless a request began when the time was up.
		if c.idle == timer {
			c.idle = nil
			c.dropLocked()
		}
	})
	c.idle = timer
}

// open returns the open connection, or opens one. It returns the cause of the context when that ends first; the connection
// then opens for the next request.
func (c *rpcConnection) open(ctx context.Context) (*rpcOpening, error) {
	for {
		opening := c.begin()
		select {
		case <-opening.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if opening.err != nil {
			return nil, opening.err
		}
		if opening.rpc.isOpen() {
			return opening, nil
		}
		c.forget(opening)
	}
}

// begin opens a connection unless one is open or opens.
func (c *rpcConnection) begin() *rpcOpening {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.opening != nil {
		return c.opening
	}
	opening := &rpcOpening{done: make(chan struct{})}
	if c.closing.Err() != nil {
		opening.err = context.Cause(c.closing)
		close(opening.done)
		return opening
	}
	c.opening = opening
	c.background.Go(func() {
		defer close(opening.done)
		opening.rpc, opening.err = c.connect()
		if opening.err != nil {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			if c.opening == opening {
				c.opening = nil
			}
		}
	})
	return opening
}

func (c *rpcConnection) connect() (*rpc, error) {
	connection, err := c.addresses.connect(c.urls, func(url brokerURL) (*brokerConnection, error) {
		return dial(c.closing, url, c.dial)
	})
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(c.closing, func() { connection.socket.Close() })
	defer stop()
	return openRPC(connection, c.options)
}

// forget closes a connection that is lost, unless a newer one has replaced it.
func (c *rpcConnection) forget(lost *rpcOpening) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.opening == lost {
		c.dropLocked()
	}
}

// dropLocked closes the connection. The next request opens another one.
func (c *rpcConnection) dropLocked() {
	opening := c.opening
	c.opening = nil
	if opening == nil {
		return
	}
	c.background.Go(func() {
		<-opening.done
		if opening.err == nil {
			opening.rpc.connection.Close()
		}
	})
}

// closeWith closes the connection, and does not wait long for a RabbitMQ that does not answer. Requests in progress fail.
func (c *rpcConnection) closeWith(reason *Error) {
	c.mutex.Lock()
	c.close(reason)
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	c.dropLocked()
	c.mutex.Unlock()
	c.background.Wait()
}
