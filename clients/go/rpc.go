package pulseagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	contractVersion   = "v1"
	directReplyTo     = "amq.rabbitmq.reply-to"
	jsonContentType   = "application/json"
	sealedContentType = "application/jose"
	// An agent answers within this time, or not at all.
	promisedTime = 10 * time.Second
)

var signedMethods = map[string]bool{"claim-namespace": true, "describe-namespace": true, "release-namespace": true, "revoke-namespace": true}

// rpcOptions name the agent, and how to sign.
type rpcOptions struct {
	id, audience string
	wall         func() time.Time
}

// rpc sends requests and takes replies over one connection. Replies arrive by direct reply-to, which needs no queue and no
// permission except the one to write requests.
type rpc struct {
	connection *brokerConnection
	options    rpcOptions

	replacing sync.Mutex

	mutex   sync.Mutex
	current *requestChannel
	// alarm is RabbitMQ's reason while it takes no messages from this connection. RabbitMQ says so only after the
	// connection has sent a message.
	alarm string
	// alarmOver is closed when the alarm is over, or the connection closed.
	alarmOver chan struct{}
}

// requestChannel is a channel and the requests that wait for their replies on it.
type requestChannel struct {
	*amqp.Channel
	// publishing: amqp091-go does not promise that channels can be shared.
	publishing sync.Mutex

	mutex   sync.Mutex
	waiting map[string]chan amqp.Delivery
	// refused: RabbitMQ has refused a request on it. The request queue is full, or had no leader, and in the second case
	// RabbitMQ 3.10 refuses everything on this channel from then on, also when there is a leader again.
	refused bool
	// replaced: requests are sent on another channel from now on.
	replaced bool

	// ended is closed when the channel has ended; reason may be read from then on.
	ended  chan struct{}
	reason *amqp.Error
}

// openRPC opens a channel for requests on an open connection. It owns the connection, also when it fails.
func openRPC(connection *brokerConnection, options rpcOptions) (*rpc, error) {
	opened := &rpc{connection: connection, options: options}
	opened.watchAlarms()
	var err error
	if opened.current, err = opened.openChannel(); err != nil {
		connection.Close()
		return nil, unavailable(err, "The connection to RabbitMQ was lost: %s.", reasonOf(err))
	}
	return opened, nil
}

func (r *rpc) watchAlarms() {
	alarms := r.connection.NotifyBlocked(make(chan amqp.Blocking, 1))
	go func() {
		for blocking := range alarms {
			reason := ""
			if blocking.Active {
				if reason = blocking.Reason; reason == "" {
					reason = "of an unknown kind"
				}
			}
			r.setAlarm(reason)
		}
		r.setAlarm("")
	}()
}

func (r *rpc) setAlarm(reason string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.alarm == "" && reason != "" {
		r.alarmOver = make(chan struct{})
	}
	if r.alarm != "" && reason == "" {
		close(r.alarmOver)
	}
	r.alarm = reason
}

// currentAlarm returns "" and nil without one.
func (r *rpc) currentAlarm() (reason string, over <-chan struct{}) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.alarm, r.alarmOver
}

// untilNoAlarm waits until the connection is not blocked, or closed.
func (r *rpc) untilNoAlarm(ctx context.Context) error {
	reason, over := r.currentAlarm()
	if reason == "" {
		return nil
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return unavailable(context.Cause(ctx), "%s", alarmText(reason))
	}
}

func alarmText(reason string) string {
	return fmt.Sprintf("RabbitMQ takes no messages while it has an alarm (%s). Retry when the alarm is over.", reason)
}

func (r *rpc) openChannel() (*requestChannel, error) {
	channel, err := r.connection.Channel()
	if err != nil {
		return nil, err
	}
	opened := &requestChannel{Channel: channel, waiting: map[string]chan amqp.Delivery{}, ended: make(chan struct{})}
	reasons := channel.NotifyClose(make(chan *amqp.Error, 1))
	// With confirms, a full request queue is reported immediately.
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	// Direct reply-to: consume, without acknowledgements, on the channel that publishes, before publishing.
	replies, err := channel.Consume(directReplyTo, "", true, false, false, false, nil)
	if err != nil {
		return nil, err
	}
	go func() {
		defer close(opened.ended)
		for reply := range replies {
			opened.deliver(reply)
		}
		opened.reason = <-reasons
	}()
	return opened, nil
}

func (c *requestChannel) deliver(reply amqp.Delivery) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	// A reply can arrive twice.
	if waiting, known := c.waiting[reply.CorrelationId]; known {
		delete(c.waiting, reply.CorrelationId)
		waiting <- reply
	}
}

// channelForNext replaces a channel on which RabbitMQ has refused a request.
func (r *rpc) channelForNext(ctx context.Context) (*requestChannel, error) {
	before := r.channel()
	if before.isRefused() {
		// An alarm can hold this up; the caller does not wait for longer than it wants to.
		replaced := make(chan error, 1)
		go func() { replaced <- r.replaceChannel(before) }()
		select {
		case err := <-replaced:
			if err != nil {
				return nil, unavailable(err, "The channel closed before the request was sent.")
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	current := r.channel()
	if current.IsClosed() {
		return nil, unavailable(nil, "The channel closed before the request was sent.")
	}
	return current, nil
}

func (r *rpc) channel() *requestChannel {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.current
}

// replaceChannel opens one channel for all requests that ask for it.
func (r *rpc) replaceChannel(before *requestChannel) error {
	r.replacing.Lock()
	defer r.replacing.Unlock()
	if r.channel() != before {
		return nil
	}
	next, err := r.openChannel()
	if err != nil {
		return err
	}
	r.mutex.Lock()
	r.current = next
	r.mutex.Unlock()
	before.mutex.Lock()
	before.replaced = true
	before.mutex.Unlock()
	before.closeIfIdle()
	return nil
}

func (c *requestChannel) isRefused() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.refused && !c.IsClosed()
}

// closeIfIdle closes a channel that was replaced, after its last request.
func (c *requestChannel) closeIfIdle() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.replaced && len(c.waiting) == 0 && !c.IsClosed() {
		go c.Close()
	}
}

// isOpen: a closed channel stays closed.
func (r *rpc) isOpen() bool {
	return !r.channel().IsClosed()
}

// call is one request.
type call struct {
	method string
	// body is a JSON object. A claim gets a new reply key.
	body map[string]any
	// signed: it is signed although its method does not need that.
	signed bool
	// conflictsAreFinal: a RequestConflict ends the call.
	conflictsAreFinal bool
	// credentials of a request that is signed.
	credentials Credentials
	timeout     time.Duration
}

func (c call) isSigned() bool { return c.signed || signedMethods[c.method] }

// request sends a request and returns the JSON of its result. A request that no agent has taken before the time-out expires
// in the queue.
func (r *rpc) request(ctx context.Context, request call) ([]byte, error) {
	var key *replyKey
	body := request.body
	if request.method == "claim-namespace" {
		made, err := newReplyKey()
		if err != nil {
			return nil, err
		}
		key = &made
		body = map[string]any{"replyKey": key.jwk()}
		for name, value := range request.body {
			body[name] = value
		}
	}
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	message := amqp.Publishing{
		ContentType:   jsonContentType,
		ReplyTo:       directReplyTo,
		CorrelationId: newNonce(),
		Expiration:    strconv.FormatInt(max(1, int64(math.Ceil(float64(request.timeout)/float64(time.Millisecond)))), 10),
		Headers:       amqp.Table{},
		Body:          content,
	}
	if request.isSigned() {
		header, err := request.credentials.sign(signedText{
			method: request.method, body: content, replyTo: directReplyTo, correlationID: message.CorrelationId,
			audience: r.options.audience, time: r.options.wall(), nonce: newNonce(),
		})
		if err != nil {
			return nil, err
		}
		message.Headers["authorization"] = header
	}
	reply, err := r.exchange(ctx, request, message)
	if err != nil {
		return nil, err
	}
	return resultOf(reply, key)
}

// exchange publishes a request and waits for its reply.
func (r *rpc) exchange(ctx context.Context, request call, message amqp.Publishing) (amqp.Delivery, error) {
	none := amqp.Delivery{}
	channel, err := r.channelForNext(ctx)
	if err != nil {
		return none, err
	}
	waiting := make(chan amqp.Delivery, 1)
	channel.mutex.Lock()
	channel.waiting[message.CorrelationId] = waiting
	channel.mutex.Unlock()
	defer func() {
		channel.mutex.Lock()
		delete(channel.waiting, message.CorrelationId)
		channel.mutex.Unlock()
		channel.closeIfIdle()
	}()
	late := time.NewTimer(request.timeout)
	defer late.Stop()
	channel.publishing.Lock()
	confirm, err := channel.PublishWithDeferredConfirm("rpc/"+r.options.id+"/"+contractVersion, request.method, false, false, message)
	channel.publishing.Unlock()
	if err != nil {
		if channel.IsClosed() {
			<-channel.ended
			return none, r.whyEnded(channel)
		}
		return none, noReply(false, err, "The request could not be sent: %s.", reasonOf(err))
	}
	confirmed, settled := false, confirm.Done()
	for {
		select {
		case reply := <-waiting:
			return reply, nil
		case <-settled:
			// A closing channel also refuses what it has not confirmed. Its own reason says more.
			if !confirm.Acked() && !channel.IsClosed() {
				channel.mutex.Lock()
				channel.refused = true
				channel.mutex.Unlock()
				return none, unavailable(nil, "The agent's request queue is full, or has no leader. Nothing was done.")
			}
			confirmed, settled = confirm.Acked(), nil
		case <-channel.ended:
			return none, r.whyEnded(channel)
		case <-late.C:
			return none, noReplyInTime(confirmed, request.timeout)
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return none, noReplyInTime(confirmed, request.timeout)
			}
			return none, context.Cause(ctx)
		}
	}
}

func noReplyInTime(confirmed bool, timeout time.Duration) *Error {
	if !confirmed {
		return noReply(false, nil, "RabbitMQ did not confirm the request in time: it is blocked by an alarm, or cannot be reached.")
	}
	reasons := []string{"no agent runs", "it dead-lettered the request"}
	if timeout < promisedTime {
		reasons = append(reasons, "it needs longer, as while its store does not answer")
	}
	return noReply(true, nil, "No reply arrived in %s: %s.", timeout.Round(100*time.Millisecond), strings.Join(reasons, ", or "))
}

// whyEnded: 404 where no agent of this version has ever run, 403 without the right to send requests there.
func (r *rpc) whyEnded(channel *requestChannel) error {
	reason := channel.reason
	if reason == nil {
		return noReply(false, nil, "The channel closed before the reply arrived.")
	}
	switch reason.Code {
	case amqp.NotFound:
		return unavailable(reason, "No agent with the id %s that speaks %s has run in this vhost. Check the id, and that the vhost is that of the requests.", r.options.id, contractVersion)
	case amqp.AccessRefused:
		return brokerRefused(RefusedRequests, reason, "RabbitMQ does not let this user send requests to the agent with the id %s.", r.options.id)
	}
	return noReply(false, reason, "The channel closed: %s.", reasonOf(reason))
}

// reasonOf is the reason of RabbitMQ, or the text of another error.
func reasonOf(err error) string {
	var reason *amqp.Error
	if errors.As(err, &reason) {
		return strings.TrimRight(reason.Reason, ". ")
	}
	return err.Error()
}
