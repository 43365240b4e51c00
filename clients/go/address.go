package pulseagent

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// How long an address that failed is avoided. The time doubles with each failure.
const (
	firstAvoided = time.Second
	maxAvoided   = time.Minute
)

// addresses is the order in which the addresses of RabbitMQ are tried, by index. Connections that share it share what they
// know of failures.
type addresses struct {
	monotonic func() time.Duration
	preferred []int

	mutex    sync.Mutex
	failures map[int]addressFailure
}

type addressFailure struct {
	count int
	until time.Duration
}

// newAddresses: with the spread 0 they are tried in the order of the list. With a random one each client has an order of
// its own, so that clients spread over the nodes.
func newAddresses(count int, spread float64, monotonic func() time.Duration) *addresses {
	rest := make([]int, count)
	for i := range rest {
		rest[i] = i
	}
	preferred := make([]int, 0, count)
	for len(rest) > 0 {
		spread *= float64(len(rest))
		at := min(int(spread), len(rest)-1)
		spread -= float64(at)
		preferred = append(preferred, rest[at])
		rest = slices.Delete(rest, at, at+1)
	}
	return &addresses{monotonic: monotonic, preferred: preferred, failures: map[int]addressFailure{}}
}

// order is first the addresses that have not failed, then the one whose time is up first.
func (a *addresses) order() []int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	now := a.monotonic()
	until := func(address int) time.Duration { return max(0, a.failures[address].until-now) }
	order := slices.Clone(a.preferred)
	slices.SortStableFunc(order, func(one, other int) int { return int(until(one) - until(other)) })
	return order
}

// failed: the address could not be used. One that fails while it is avoided was tried because all others are, or by a
// connection that was lost with others: that counts as one failure.
func (a *addresses) failed(address int) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	now, before := a.monotonic(), a.failures[address]
	if before.count > 0 && before.until > now {
		return
	}
	avoided := min(firstAvoided<<min(before.count, 10), maxAvoided)
	a.failures[address] = addressFailure{before.count + 1, now + avoided}
}

func (a *addresses) succeeded(address int) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	delete(a.failures, address)
}

// connect opens the first address that works, each tried once. It returns the error of the last one, or the refusal of an
// earlier one. urls has as many elements as there are addresses; they may have other credentials each time.
func (a *addresses) connect(urls []brokerURL, open func(brokerURL) (*brokerConnection, error)) (*brokerConnection, error) {
	var failed error
	for _, address := range a.order() {
		if address >= len(urls) {
			continue
		}
		connection, err := open(urls[address])
		if err == nil {
			a.succeeded(address)
			connection.avoidAddress = func() { a.failed(address) }
			closed := connection.NotifyClose(make(chan *amqp.Error, 1))
			go func() {
				if isFaultOfAddress(<-closed) {
					a.failed(address)
				}
			}()
			return connection, nil
		}
		var own *Error
		refused := errors.As(err, &own) && own.Code == BrokerRefused
		// The users and the vhosts of all addresses are the same; their certificates are not.
		if refused && own.Refused != RefusedTLS || own == nil {
			return nil, err
		}
		a.failed(address)
		if failed == nil || !errors.Is(failed, BrokerRefused) {
			failed = err
		}
	}
	return nil, failed
}

// isFaultOfAddress: the loss of a connection says that its address cannot be used now, and not that RabbitMQ closed this
// connection.
func isFaultOfAddress(reason *amqp.Error) bool {
	return reason != nil && (!reason.Server || reason.Code == amqp.ConnectionForced && strings.Contains(reason.Reason, "'shutdown'"))
}
