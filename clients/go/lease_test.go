package pulseagent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const interval = time.Hour

// world is an agent that follows the contract, and RabbitMQ: credentials work until the rotation into their slot. Its time
// is that of testing/synctest.
type world struct {
	mutex sync.Mutex
	// fault is the failure of claims, holderFault that of claims with the credentials of the lease, claimantFault that of all
	// others.
	fault, holderFault, claimantFault *Error
	delay                             time.Duration
	claims, claimsAsHolder            int
	released                          bool
	stopped                           bool
	rotations                         int
	nextRotation                      time.Time
	clock                             clock
	events                            []string
	lost                              *Error
}

func (w *world) claimCount() (count int) {
	w.do(func() { count = w.claims })
	return count
}

func (w *world) holderClaims() (count int) {
	w.do(func() { count = w.claimsAsHolder })
	return count
}

func (w *world) pause() (delay time.Duration) {
	w.do(func() { delay = w.delay })
	return delay
}

func (w *world) seen() (events []string) {
	w.do(func() { events = slices.Clone(w.events) })
	return events
}

func (w *world) reported() (lost *Error) {
	w.do(func() { lost = w.lost })
	return lost
}

func newWorld() *world {
	random := rand.New(rand.NewPCG(1, 2))
	w := &world{clock: systemClock(), nextRotation: time.Now().Round(0).Add(interval)}
	w.clock.random = random.Float64
	return w
}

func (w *world) do(change func()) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.rotate()
	change()
}

// rotating starts or stops the agent; missed rotations are done once.
func (w *world) rotating(rotating bool) {
	w.do(func() {
		if now := time.Now().Round(0); rotating && w.nextRotation.Before(now) {
			w.nextRotation = now
		}
		w.stopped = !rotating
	})
}

func (w *world) rotate() {
	for !w.stopped && !w.nextRotation.After(time.Now()) {
		w.rotations++
		w.nextRotation = w.nextRotation.Add(interval)
	}
}

// works: the two latest generations of credentials open a connection.
func (w *world) works(lease *Lease) bool {
	url, err := lease.ConnectionString()
	return err == nil && w.accepts(url)
}

func (w *world) accepts(url string) (accepted bool) {
	generation, _ := strconv.Atoi(url[strings.LastIndex(url, "/")+1:])
	w.do(func() { accepted = w.rotations-generation <= 1 })
	return accepted
}

func (w *world) claim() (claim *Claim, err error) {
	w.do(func() {
		w.claims++
		if w.fault != nil {
			err = w.fault
			return
		}
		now, next := time.Now().Round(0), w.nextRotation
		if next.Before(now) {
			next = now
		}
		url := "amqp://generation/" + strconv.Itoa(w.rotations)
		claim = &Claim{
			Namespace: "taskcluster-x", Expires: now.Add(4 * interval), ReclaimAt: next.Add(interval / 2),
			ConnectionString: url, ConnectionStrings: []string{url},
		}
	})
	return claim, err
}

func (w *world) lease(t *testing.T, change ...func(*LeaseRequest)) *Lease {
	first, err := w.claim()
	if err != nil {
		t.Fatal(err)
	}
	event := func(name string) { w.do(func() { w.events = append(w.events, name) }) }
	request := LeaseRequest{
		Namespace: "taskcluster-x",
		OnRenewed: func(renewed Renewed) {
			if renewed.Changed {
				event("renewed")
			} else {
				event("same")
			}
		},
		OnFailing: func(Failing) { event("failing") },
		OnLost: func(lost *Error) {
			event("lost")
			w.do(func() { w.lost = lost })
		},
	}
	for _, one := range change {
		one(&request)
	}
	lease := newLease(first, request, leaseParts{
		claim: func(ctx context.Context) (*Claim, error) {
			if err := sleep(ctx, w.pause()); err != nil {
				return nil, err
			}
			var fault *Error
			if w.do(func() { fault = w.claimantFault }); fault != nil {
				return nil, fault
			}
			return w.claim()
		},
		claimWith: func(_ context.Context, urls string) (*Claim, error) {
			var err error
			accepted := w.accepts(urls)
			w.do(func() {
				w.claimsAsHolder++
				if w.holderFault != nil {
					err = w.holderFault
				} else if !accepted {
					err = brokerRefused(RefusedUser, nil, "RabbitMQ refuses the user or its password.")
				}
			})
			if err != nil {
				return nil, err
			}
			return w.claim()
		},
		release:   func(context.Context) error { w.released = true; return nil },
		onStopped: func() {},
		clock:     w.clock,
	})
	t.Cleanup(lease.Stop)
	return lease
}

// pass lets time pass until every goroutine waits.
func pass(duration time.Duration) {
	time.Sleep(duration)
	synctest.Wait()
}

var away = unavailable(nil, "No answer.")

func TestHoldsWorkingCredentialsForDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		lease := w.lease(t)
		for range 3 * 24 * 12 {
			pass(5 * time.Minute)
			if !w.works(lease) || !time.Now().Before(lease.ReclaimAt()) {
				t.Fatalf("at %s, held until %s", time.Now(), lease.ReclaimAt())
			}
		}
		// About one claim for each rotation.
		if w.claimCount() > 80 || len(w.seen()) == 0 {
			t.Errorf("%d claims", w.claimCount())
		}
		for _, event := range w.seen() {
			if event != "renewed" {
				t.Error(event)
			}
		}
		lease.Stop()
	})
}

func TestSurvivesAnHourWithoutAnAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		lease := w.lease(t)
		pass(interval)
		w.do(func() { w.fault = away })
		w.rotating(false)
		pass(interval)
		if time.Now().Before(lease.ReclaimAt()) || len(w.seen()) < 20 {
			t.Errorf("%d events", len(w.seen()))
		}
		for _, event := range w.seen() {
			if event != "failing" {
				t.Error(event)
			}
		}
		before := time.Now()
		credentials, err := lease.Credentials(t.Context())
		if err != nil || credentials.ConnectionStrings[0] != "amqp://generation/0" || !credentials.RecycleAt.Equal(before.Add(5*time.Minute)) || !time.Now().Equal(before) {
			t.Errorf("%v, %v", credentials, err)
		}
		w.do(func() { w.fault = nil })
		w.rotating(true)
		pass(2 * time.Minute)
		if w.seen()[len(w.seen())-1] != "renewed" || !w.works(lease) {
			t.Error(w.seen())
		}
	})
}

func TestHoldsWorkingCredentialsThroughOutages(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.clock.random = rand.Float64
			lease := w.lease(t)
			for range 1 + rand.IntN(6) {
				pass(time.Duration(1+rand.IntN(300)) * time.Minute)
				w.do(func() { w.fault = away })
				w.rotating(false)
				pass(time.Duration(1+rand.IntN(55)) * time.Minute)
				if !w.works(lease) {
					t.Fatal("no working credentials during an outage")
				}
				w.do(func() { w.fault = nil })
				// The next attempt comes within a minute, before two rotations.
				pass(time.Minute)
				w.rotating(true)
				if !w.works(lease) {
					t.Fatal("no working credentials after an outage")
				}
			}
			if lease.Err() != nil {
				t.Fatal(lease.Err())
			}
		})
	}
}

func TestIsNotLostWhenRabbitMQRefusesTheVhost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		lease := w.lease(t)
		w.do(func() {
			w.fault = brokerRefused(RefusedVhost, nil, "RabbitMQ refuses the vhost.")
			w.holderFault = w.fault
		})
		pass(3 * interval)
		if lease.Err() != nil || w.holderClaims() == 0 {
			t.Errorf("%v after %d claims", lease.Err(), w.holderClaims())
		}
	})
}

func TestIsLostAtTheEndOfTheNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		lease := w.lease(t)
		w.do(func() { w.fault = away })
		w.rotating(false)
		pass(4*interval - time.Millisecond)
		if lease.Err() != nil {
			t.Fatal(lease.Err())
		}
		pass(time.Millisecond)
		select {
		case <-lease.Done():
		default:
			t.Fatal("the lease goes on")
		}
		claims := w.claimCount()
		pass(interval)
		if w.claimCount() != claims {
			t.Error("it claims on")
		}
		if w.reported() == nil || w.reported().Reason != LostExpired || !reflect.DeepEqual(w.seen()[len(w.seen())-2:], []string{"failing", "lost"}) {
			t.Errorf("%v, %v", w.reported(), w.seen()[len(w.seen())-2:])
		}
		for name, err := range map[string]error{"Err": lease.Err(), "Credentials": second(lease.Credentials(t.Context())), "ConnectionString": second(lease.ConnectionString())} {
			if !errors.Is(err, LeaseLost) || !errors.Is(err, Unavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestIsLostWhenTheCredentialsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		lease := w.lease(t)
		w.do(func() { w.fault = newError(AuthenticationFailed, "The access token is wrong.", nil) })
		pass(119 * time.Minute)
		if lease.Err() != nil || !w.works(lease) {
			t.Fatal("it is lost before RabbitMQ refuses the credentials", lease.Err())
		}
		pass(3 * time.Minute)
		if w.reported() == nil || w.reported().Reason != LostRefused || !strings.HasSuffix(w.reported().Message, "The access token is wrong.") {
			t.Error(w.reported())
		}
	})
}

func TestIsLostWhenTheAgentTakesItAway(t *testing.T) {
	for reason, code := range map[Reason]Code{LostScopes: InsufficientScopes, LostTakenAway: RequestConflict} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.lease(t)
			w.do(func() { w.fault = newError(code, "No.", nil) })
			pass(86 * time.Minute)
			if w.reported() == nil || w.reported().Reason != reason || !errors.Is(w.reported(), code) || !reflect.DeepEqual(w.seen(), []string{"lost"}) {
				t.Errorf("%v, %v", w.reported(), w.seen())
			}
		})
	}
}

func TestClaimsWithItsOwnCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lease(t)
		w.do(func() { w.claimantFault = brokerRefused(RefusedUser, nil, "RabbitMQ refuses the claimant.") })
		pass(86 * time.Minute)
		if !reflect.DeepEqual(w.seen(), []string{"renewed"}) || w.holderClaims() != 1 {
			t.Error(w.seen(), w.holderClaims())
		}
	})
}

func TestIsLostWhenItsOwnCredentialsShowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lease(t)
		w.do(func() {
			w.claimantFault = brokerRefused(RefusedUser, nil, "RabbitMQ refuses the claimant.")
			w.holderFault = newError(RequestConflict, "It is being deleted.", nil)
		})
		pass(86 * time.Minute)
		if lost := w.reported(); lost == nil || lost.Reason != LostTakenAway {
			t.Error(lost)
		}
	})
}

func TestIsNotLateWhenTheClockIsSet(t *testing.T) {
	// A wall clock that is set back, and a monotonic one that stood still in a suspension.
	for _, shift := range []time.Duration{-interval, 80 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			real, shifted := w.clock, atomic.Int64{}
			w.clock.wall = func() time.Time { return real.wall().Add(time.Duration(shifted.Load())) }
			w.lease(t)
			pass(time.Minute)
			shifted.Store(int64(shift))
			begin := time.Now()
			for w.claimCount() == 1 && time.Since(begin) < 10*time.Hour {
				pass(time.Minute)
			}
			if waited := time.Since(begin); waited > 86*time.Minute-max(0, shift) {
				t.Errorf("shifted by %s, it claims after %s", shift, waited)
			}
		})
	}
}

func TestClaimsForANewConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		lease := w.lease(t)
		lease.Credentials(t.Context())
		if w.claimCount() != 1 {
			t.Error("a claim of a moment ago is fresh")
		}
		pass(time.Minute)
		w.do(func() { w.delay = time.Second })
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				credentials, err := lease.Credentials(t.Context())
				if err != nil || !credentials.RecycleAt.Equal(lease.ReclaimAt()) {
					t.Error(credentials, err)
				}
			})
		}
		both.Wait()
		pass(0)
		if w.claimCount() != 2 || !reflect.DeepEqual(w.seen(), []string{"same"}) {
			t.Error(w.claimCount(), w.seen())
		}
	})
}

func TestWaitsFiveSecondsForAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		lease := w.lease(t)
		pass(time.Minute)
		w.do(func() { w.delay = time.Minute })
		begin := time.Now()
		credentials, err := lease.Credentials(t.Context())
		if err != nil || credentials.ConnectionStrings[0] != "amqp://generation/0" || time.Since(begin) != claimTimeout {
			t.Error(credentials, err, time.Since(begin))
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := lease.Credentials(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		lease.Stop()
		if _, err := lease.Credentials(t.Context()); !isCode(err, ClientClosed) {
			t.Error(err)
		}
	})
}

func TestGivesWorkingCredentialsAfterStopAndNoneAfterRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		lease := w.lease(t)
		lease.Stop()
		if _, err := lease.ConnectionString(); err != nil || !isCode(lease.Err(), ClientClosed) {
			t.Error(err, lease.Err())
		}
		if err := lease.Release(t.Context()); err != nil || !w.released {
			t.Error(err)
		}
		if _, err := lease.ConnectionString(); !isCode(err, ClientClosed) {
			t.Error(err)
		}
	})
}

func TestMayBeStoppedByWhatItCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		leases, stopped := make(chan *Lease, 1), make(chan struct{})
		leases <- w.lease(t, func(request *LeaseRequest) {
			request.OnRenewed = func(Renewed) {
				(<-leases).Stop()
				close(stopped)
			}
		})
		pass(86 * time.Minute)
		select {
		case <-stopped:
		default:
			t.Error("it was not stopped")
		}
	})
}

func TestLogsWhatNobodyAsksFor(t *testing.T) {
	var text bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	defer slog.SetDefault(before)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lease(t, func(request *LeaseRequest) { *request = LeaseRequest{Namespace: "taskcluster-x"} })
		w.do(func() { w.fault = away })
		pass(4 * interval)
	})
	if !strings.Contains(text.String(), "level=WARN") || !strings.Contains(text.String(), "level=ERROR") || strings.Contains(text.String(), "amqp:") {
		t.Error(text.String())
	}
}
