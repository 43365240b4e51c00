package pulseagent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The tests of this file need a running agent, which rotates every few seconds. The environment names it.
func liveClient(t *testing.T) *Client {
	t.Helper()
	url := os.Getenv("PULSE_AGENT_URL")
	if url == "" {
		t.Skip("PULSE_AGENT_URL is not set")
	}
	client, err := New(Options{
		URL: url, ID: os.Getenv("PULSE_AGENT_ID"), Audience: os.Getenv("PULSE_AGENT_AUDIENCE"),
		Credentials: Credentials{ClientID: os.Getenv("TASKCLUSTER_CLIENT_ID"), AccessToken: os.Getenv("TASKCLUSTER_ACCESS_TOKEN")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func liveNamespace() string { return "taskcluster-team-go-" + newNonce()[:8] }

// numbers is a service that publishes numbers and keeps those that it receives.
type numbers struct {
	namespace string
	mutex     sync.Mutex
	received  map[int]int
	published int
	sessions  int
	quiet     bool
}

func (n *numbers) session(ctx context.Context, connection *amqp.Connection) error {
	n.mutex.Lock()
	n.sessions++
	quiet := n.quiet
	n.mutex.Unlock()
	exchange, queue := "exchange/"+n.namespace+"/numbers", "queue/"+n.namespace+"/numbers"
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	if err := channel.ExchangeDeclare(exchange, "fanout", true, false, false, false, nil); err != nil {
		return err
	}
	if _, err := channel.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		return err
	}
	if err := channel.QueueBind(queue, "", exchange, false, nil); err != nil {
		return err
	}
	deliveries, err := channel.ConsumeWithContext(ctx, queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for ctx.Err() == nil && !quiet {
			n.mutex.Lock()
			next := n.published
			n.mutex.Unlock()
			confirm, err := channel.PublishWithDeferredConfirm(exchange, "", false, false, amqp.Publishing{Body: []byte(strconv.Itoa(next)), DeliveryMode: amqp.Persistent})
			if err != nil || !confirm.Wait() {
				return
			}
			n.mutex.Lock()
			n.published++
			n.mutex.Unlock()
			time.Sleep(time.Millisecond)
		}
	})
	for delivery := range deliveries {
		number, _ := strconv.Atoi(string(delivery.Body))
		n.mutex.Lock()
		n.received[number]++
		n.mutex.Unlock()
		if err := delivery.Ack(false); err != nil {
			return err
		}
	}
	publishing.Wait()
	return nil
}

func (n *numbers) missing() (missing, repeated int) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for number := range n.published {
		switch n.received[number] {
		case 0:
			missing++
		case 1:
		default:
			repeated++
		}
	}
	return missing, repeated
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begin := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("not so: ", what)
		}
	}
}

func TestLiveKeepsAConnectionOverRotations(t *testing.T) {
	client := liveClient(t)
	disconnected := make(chan error, 100)
	lease, err := client.Lease(t.Context(), LeaseRequest{
		Namespace: liveNamespace(), OnDisconnected: func(event Disconnected) { disconnected <- event.Err },
	})
	if err != nil {
		t.Fatal(err)
	}
	service := &numbers{namespace: lease.Namespace(), received: map[int]int{}}
	ctx, cancel := context.WithCancelCause(t.Context())
	kept := make(chan error, 1)
	go func() { kept <- lease.KeepConnected(ctx, service.session) }()
	until(t, "three sessions", func() bool {
		service.mutex.Lock()
		defer service.mutex.Unlock()
		return service.sessions >= 3
	})
	enough := errors.New("enough")
	cancel(enough)
	if err := <-kept; !errors.Is(err, enough) {
		t.Error(err)
	}
	// What is left waits in the queue.
	service.mutex.Lock()
	service.quiet = true
	service.mutex.Unlock()
	rest, end := context.WithCancel(t.Context())
	go func() { kept <- lease.KeepConnected(rest, service.session) }()
	until(t, "everything is received", func() bool { missing, _ := service.missing(); return missing == 0 })
	end()
	<-kept
	if missing, repeated := service.missing(); missing > 0 || repeated > 0 {
		t.Errorf("%d missing, %d repeated of %d", missing, repeated, service.published)
	}
	fmt.Printf("%d messages over %d sessions\n", service.published, service.sessions)
	close(disconnected)
	for err := range disconnected {
		t.Error("disconnected: ", err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLiveEndsASession(t *testing.T) {
	client := liveClient(t)
	lease, err := client.Lease(t.Context(), LeaseRequest{Namespace: liveNamespace(), OnDisconnected: func(Disconnected) {}})
	if err != nil {
		t.Fatal(err)
	}
	failure, sessions := errors.New("a bug"), 0
	err = lease.KeepConnected(t.Context(), func(_ context.Context, connection *amqp.Connection) error {
		switch sessions++; sessions {
		case 1:
			connection.Close()
			return nil
		case 2:
			channel, err := connection.Channel()
			if err != nil {
				return err
			}
			return channel.QueueBind("queue/missing", "", "exchange/missing", false, nil)
		}
		return StopSessions(failure)
	})
	if err != failure || sessions != 3 {
		t.Error(err, sessions)
	}
	lost := make(chan error, 1)
	go func() {
		lost <- lease.KeepConnected(t.Context(), func(ctx context.Context, _ *amqp.Connection) error {
			lease.stopWith(clientClosed("enough"))
			<-ctx.Done()
			return nil
		})
	}()
	if err := <-lost; !isCode(err, ClientClosed) {
		t.Error(err)
	}
	if err := lease.KeepConnected(t.Context(), nil); !isCode(err, ClientClosed) {
		t.Error(err)
	}
}

func TestLiveLeavesNothing(t *testing.T) {
	client := liveClient(t)
	if _, err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	lease, err := client.Lease(t.Context(), LeaseRequest{Namespace: liveNamespace()})
	if err != nil {
		t.Fatal(err)
	}
	connection, err := lease.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := lease.Credentials(t.Context()); err != nil {
			t.Error(err)
		}
	}
	connection.Close()
	described, err := client.GetDetails(t.Context(), lease.Namespace())
	if err != nil || described.Details == nil || described.Details.Holder != os.Getenv("TASKCLUSTER_CLIENT_ID") || described.Details.NextRotation.IsZero() {
		t.Errorf("%+v, %v", described, err)
	}
	if got, err := client.Get(t.Context(), lease.Namespace()); err != nil || got.Details != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for namespace, err := range client.List(t.Context(), ListRequest{Details: true, PageSize: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if namespace.Namespace == lease.Namespace() && namespace.Details == nil {
			t.Errorf("%+v", namespace)
		}
	}
	closesClean(t, client)
}

// closesClean closes the client, and asserts that it takes no long time and leaves no goroutine.
func closesClean(t *testing.T, client *Client) {
	t.Helper()
	begin := time.Now()
	client.Close()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %s to close", took)
	}
	if left := goroutinesLeft(""); left != "" {
		t.Error(left)
	}
}

// The broker has an alarm.
func TestLiveNamesTheAlarm(t *testing.T) {
	client := liveClient(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := client.Ping(ctx)
	var failed *Error
	if !errors.As(err, &failed) || failed.Code != Unavailable || !failed.Retryable || !strings.Contains(failed.Message, "alarm (low on memory)") {
		t.Error(err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("not by the time of the caller: ", err)
	}
	closesClean(t, client)
}

// No agent runs.
func TestLiveSendsOnAnotherChannelAfterAFullQueue(t *testing.T) {
	client := liveClient(t)
	urls, err := parseURLs(os.Getenv("PULSE_AGENT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	filling, err := dial(t.Context(), urls[0], dialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer filling.Close()
	channel, err := filling.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := channel.Confirm(false); err != nil {
		t.Fatal(err)
	}
	// RabbitMQ refuses requests a moment after the queue is full.
	for sent, refused := 0, false; !refused; sent++ {
		if sent == 20_000 {
			t.Fatal("the queue is never full")
		}
		request := amqp.Publishing{Body: []byte("{}"), CorrelationId: "1", Expiration: "1000"}
		confirm, err := channel.PublishWithDeferredConfirm("rpc/"+os.Getenv("PULSE_AGENT_ID")+"/v1", "ping", false, false, request)
		if err != nil {
			t.Fatal(err)
		}
		refused = sent%500 == 0 && !confirm.Wait()
	}
	open, err := client.connection.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ping := func() *Error {
		_, err := open.rpc.request(t.Context(), call{method: "ping", body: map[string]any{}, timeout: 2 * time.Second})
		return asError(err)
	}
	first := open.rpc.channel()
	if err := ping(); err.Code != Unavailable || err.MayHaveActed || !strings.Contains(err.Message, "queue is full") {
		t.Error(err)
	}
	// Once the requests have expired, there is room.
	until(t, "a request is confirmed", func() bool { return ping().confirmed })
	if open.rpc.channel() == first {
		t.Error("it is the same channel")
	}
	until(t, "the first channel is closed", first.IsClosed)
	client.Close()
	filling.Close()
	if left := goroutinesLeft(""); left != "" {
		t.Error(left)
	}
}
