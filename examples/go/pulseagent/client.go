// Package pulseagent is a small client of Pulse Agent. The contract is docs/protocol.md.
package pulseagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const directReplyTo = "amq.rabbitmq.reply-to"

// An agent answers within 10 seconds or not at all.
const defaultTimeout = 15 * time.Second

const (
	connectTimeout = 30 * time.Second
	closeTimeout   = 3 * time.Second
)

var signedMethods = map[string]bool{"claim-namespace": true, "release-namespace": true, "revoke-namespace": true}

// Error is an error of the agent. Retryable: the same request with a new signature can succeed later.
type Error struct {
	Code      string         `json:"code"`
	Message   string         `json:"message"`
	Retryable bool           `json:"retryable"`
	Details   map[string]any `json:"details"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// ErrNoReply: no agent runs, or the request was one that gets no answer. It may have been served. Try again.
var ErrNoReply = errors.New("no reply in time")

// Client sends requests over one connection, the claimant's or one of a namespace.
type Client struct {
	// ID and Audience are those of the agent, "pulse-agent" unless set before the first request.
	ID, Audience string
	// Timeout is how long to wait for a reply, 15 seconds unless set before the first request.
	Timeout time.Duration

	credentials Credentials
	connection  *Connection
	channel     *amqp.Channel

	mutex   sync.Mutex
	waiting map[string]chan amqp.Delivery
	alarm   string
	closed  chan struct{}
	// Why RabbitMQ closed the channel; read it only after closed.
	reason *amqp.Error
}

// Connection is one that can be closed at any time. During an alarm RabbitMQ does not read from connections that
// publish: there the library would wait for an answer until the alarm is over.
type Connection struct {
	*amqp.Connection
	socket net.Conn
}

var betweenURLs = regexp.MustCompile(`, *(amqps?://)`)

// Open connects to the first address of RabbitMQ that works. Each is a URL, or several with commas between. It returns
// an *Error for what another attempt cannot change.
func Open(addresses ...string) (*Connection, error) {
	var failed error
	for _, url := range strings.Split(betweenURLs.ReplaceAllString(strings.Join(addresses, ","), "\n$1"), "\n") {
		connection, err := openOne(url)
		var refused *Error
		if err == nil || errors.As(err, &refused) {
			return connection, err
		}
		failed = err
	}
	return nil, failed
}

func openOne(url string) (*Connection, error) {
	if !strings.HasPrefix(url, "amqp://") && !strings.HasPrefix(url, "amqps://") {
		return nil, brokerRefused("the URL must begin with amqp:// or amqps://")
	}
	var socket net.Conn
	dial := amqp.DefaultDial(connectTimeout)
	connection, err := amqp.DialConfig(url, amqp.Config{Locale: "en_US", Dial: func(network, address string) (_ net.Conn, err error) {
		socket, err = dial(network, address)
		return socket, err
	}})
	if err != nil {
		return nil, whyNotOpen(err)
	}
	return &Connection{connection, socket}, nil
}

// Close closes the connection, after three seconds without RabbitMQ.
func (c *Connection) Close() error {
	defer time.AfterFunc(closeTimeout, func() { c.socket.Close() }).Stop()
	return c.Connection.Close()
}

// Dial connects and makes ready for replies.
func Dial(url string, credentials Credentials) (*Client, error) {
	connection, err := Open(url)
	if err != nil {
		return nil, err
	}
	client := &Client{
		ID: "pulse-agent", Audience: "pulse-agent", Timeout: defaultTimeout,
		credentials: credentials,
		connection:  connection,
		waiting:     map[string]chan amqp.Delivery{},
		closed:      make(chan struct{}),
	}
	if err := client.open(); err != nil {
		connection.Close()
		return nil, err
	}
	return client, nil
}

// whyNotOpen: what another attempt cannot change. The library reports it with RabbitMQ's reason, or with one of its own.
func whyNotOpen(err error) error {
	var refusal *amqp.Error
	if !errors.As(err, &refusal) || strings.Contains(refusal.Reason, "limit") {
		return err
	}
	switch refusal.Code {
	case amqp.AccessRefused:
		return brokerRefused("RabbitMQ refuses the user or its password: check the URL")
	case amqp.NotAllowed:
		return brokerRefused(fmt.Sprintf("the vhost does not exist, or this user may not use it: check the path of the URL (%s)", refusal.Reason))
	}
	return err
}

func brokerRefused(message string) *Error { return &Error{Code: "BrokerRefused", Message: message} }

func (c *Client) open() (err error) {
	if c.channel, err = c.connection.Channel(); err != nil {
		return err
	}
	// With confirms, a full queue is reported immediately.
	if err = c.channel.Confirm(false); err != nil {
		return err
	}
	// Direct reply-to: consume, without acknowledgements, on the channel that publishes, before publishing.
	replies, err := c.channel.Consume(directReplyTo, "", true, false, false, false, nil)
	if err != nil {
		return err
	}
	reasons := c.channel.NotifyClose(make(chan *amqp.Error, 1))
	alarms := c.connection.NotifyBlocked(make(chan amqp.Blocking, 1))
	go func() {
		for blocking := range alarms {
			c.mutex.Lock()
			c.alarm = blocking.Reason
			c.mutex.Unlock()
		}
	}()
	go func() {
		defer close(c.closed)
		defer func() { c.reason = <-reasons }()
		for reply := range replies {
			c.mutex.Lock()
			if waiting, known := c.waiting[reply.CorrelationId]; known {
				delete(c.waiting, reply.CorrelationId)
				waiting <- reply
			}
			c.mutex.Unlock()
		}
	}()
	return nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.connection.Close() }

// Request sends one request and puts the JSON of its result into result. It returns an *Error when the agent refuses,
// and ErrNoReply when no reply comes in time.
func (c *Client) Request(ctx context.Context, method string, body, result any) error {
	reply, err := c.exchange(ctx, method, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(reply.Body, result)
}

func (c *Client) exchange(ctx context.Context, method string, body any) (amqp.Delivery, error) {
	none := amqp.Delivery{}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, ErrNoReply)
	defer cancel()
	content, err := json.Marshal(body)
	if err != nil {
		return none, err
	}
	message := amqp.Publishing{
		ContentType:   "application/json",
		ReplyTo:       directReplyTo,
		CorrelationId: NewNonce(),
		Headers:       amqp.Table{},
		Body:          content,
		// A request that waits longer than this has no recipient for its reply.
		Expiration: strconv.FormatInt(c.Timeout.Milliseconds(), 10),
	}
	if signedMethods[method] {
		message.Headers["authorization"], err = c.credentials.Sign(Signed{
			Method: method, Body: content, ReplyTo: directReplyTo, CorrelationID: message.CorrelationId,
			Audience: c.Audience, Time: time.Now(), Nonce: NewNonce(),
		})
		if err != nil {
			return none, err
		}
	}

	waiting := make(chan amqp.Delivery, 1)
	c.mutex.Lock()
	c.waiting[message.CorrelationId] = waiting
	c.mutex.Unlock()
	defer func() {
		c.mutex.Lock()
		delete(c.waiting, message.CorrelationId)
		c.mutex.Unlock()
	}()

	confirm, err := c.channel.PublishWithDeferredConfirm("rpc/"+c.ID+"/v1", method, false, false, message)
	if err != nil {
		return none, err
	}
	refused := confirm.Done()
	for {
		select {
		case reply := <-waiting:
			return reply, refusal(reply)
		case <-refused:
			if !confirm.Acked() {
				return none, &Error{Code: "Unavailable", Message: "the request queue is full", Retryable: true}
			}
			refused = nil
		case <-c.closed:
			return none, c.whyClosed()
		case <-ctx.Done():
			c.mutex.Lock()
			alarm := c.alarm
			c.mutex.Unlock()
			if alarm != "" {
				return none, fmt.Errorf("%s: RabbitMQ has an alarm (%s) and takes no messages until it is cleared: %w", method, alarm, ErrNoReply)
			}
			return none, fmt.Errorf("%s: %w", method, context.Cause(ctx))
		}
	}
}

// whyClosed: 403 without the right to send requests there, 404 where no agent of this version has ever run.
func (c *Client) whyClosed() error {
	if c.reason == nil {
		return errors.New("the channel closed before the reply came")
	}
	if c.reason.Code == amqp.AccessRefused || c.reason.Code == amqp.NotFound {
		return brokerRefused(fmt.Sprintf("no requests can be sent to an agent with the id %s: check the id and the path of the URL (%s)", c.ID, c.reason.Reason))
	}
	return c.reason
}

func refusal(reply amqp.Delivery) error {
	if reply.Type == "result" {
		return nil
	}
	refused := &Error{}
	if err := json.Unmarshal(reply.Body, refused); err != nil {
		return fmt.Errorf("the error in the reply cannot be read: %w", err)
	}
	return refused
}
