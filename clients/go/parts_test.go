package pulseagent

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func isCode(err error, code Code) bool {
	var failed *Error
	return errors.As(err, &failed) && failed.Code == code && errors.Is(err, code)
}

func TestReadsURLs(t *testing.T) {
	urls, err := parseURLs("amqps://me:p%C3%A4ss%2C@a.example.com/a%2Fb?heartbeat=7, amqps://me:p%C3%A4ss%2C@[::1]:5000/a%2Fb")
	if err != nil {
		t.Fatal(err)
	}
	first := brokerURL{scheme: "amqps", host: "a.example.com", user: "me", password: "päss,", vhost: "a/b", heartbeat: 7 * time.Second}
	if urls[0] != first || urls[0].address() != "a.example.com:5671" || urls[1].address() != "[::1]:5000" {
		t.Errorf("read %+v", urls)
	}
	for text, vhost := range map[string]string{"": "", "/": "", "//": "/", "/%2F": "/", "/pulse": "pulse"} {
		if urls, err := parseURLs("amqp://h" + text); err != nil || urls[0].vhost != vhost || urls[0].user != "guest" {
			t.Errorf("%s: %+v, %v", text, urls, err)
		}
	}
}

func TestRefusesURLsWithoutShowingThem(t *testing.T) {
	for _, text := range []string{
		"", "secret", "http://u:secret@h", "amqp://", "amqp://u:secret@", "amqp://u:sec ret@h\n", "amqp://u:secret@h/a/b",
		"amqp://u:secret#@h", "amqp://u:secret@h:port", "amqp://u:secret@h/%zz", "amqp://u:%zzsecret@h", "amqp://secret@h",
		"amqp://u:secret@h?heartbeat=secret", "amqp://u:secret@a,amqp://u:other@b", "amqp://u:secret@a,amqps://u:secret@b",
		"amqp://u:secret@a/x,amqp://u:secret@b/y", "amqp://u:secret@a,amqp://u:secret@a:5672", "amqp://u:secret@a,", "amqp://u:secret%00@h",
	} {
		_, err := parseURLs(text)
		if !isCode(err, InputError) || strings.Contains(fmt.Sprintf("%v %+v", err, err), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTriesAddressesInTurn(t *testing.T) {
	var now time.Duration
	order := newAddresses(3, 0, func() time.Duration { return now })
	expect := func(want ...int) {
		t.Helper()
		if got := order.order(); !reflect.DeepEqual(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	}
	expect(0, 1, 2)
	order.failed(0)
	expect(1, 2, 0)
	order.failed(1)
	// The second failure in the same outage counts once.
	order.failed(0)
	expect(2, 0, 1)
	now = 1100 * time.Millisecond
	expect(0, 1, 2)
	order.failed(0)
	now += 1900 * time.Millisecond
	expect(1, 2, 0)
	order.succeeded(0)
	expect(0, 1, 2)
	for _, spread := range []float64{0, 0.3, 0.7, almostOne} {
		got := newAddresses(4, spread, func() time.Duration { return 0 }).order()
		slices.Sort(got)
		if !reflect.DeepEqual(got, []int{0, 1, 2, 3}) {
			t.Errorf("spread %v: %v", spread, got)
		}
	}
}

func TestStopsAtARefusal(t *testing.T) {
	urls, _ := parseURLs("amqp://a,amqp://b,amqp://c")
	for _, test := range []struct {
		errs  []error
		code  Code
		tried int
	}{
		{[]error{unavailable(nil, "Away."), brokerRefused(RefusedUser, nil, "No.")}, BrokerRefused, 2},
		{[]error{brokerRefused(RefusedTLS, nil, "No."), unavailable(nil, "Away."), unavailable(nil, "Away.")}, BrokerRefused, 3},
		{[]error{unavailable(nil, "1"), unavailable(nil, "2"), unavailable(nil, "3")}, Unavailable, 3},
	} {
		tried := 0
		_, err := newAddresses(3, 0, func() time.Duration { return 0 }).connect(urls, func(brokerURL) (*brokerConnection, error) {
			tried++
			return nil, test.errs[tried-1]
		})
		if !isCode(err, test.code) || tried != test.tried {
			t.Errorf("%v after %d", err, tried)
		}
	}
}

func TestBlamesTheAddressForItsLossesOnly(t *testing.T) {
	for _, test := range []struct {
		reason *amqp.Error
		want   bool
	}{
		{nil, false},
		{&amqp.Error{Code: 501, Reason: "EOF"}, true},
		{&amqp.Error{Code: 320, Reason: "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", Server: true}, true},
		{&amqp.Error{Code: 320, Reason: "CONNECTION_FORCED - open as long as it may", Server: true}, false},
	} {
		if got := isFaultOfAddress(test.reason); got != test.want {
			t.Errorf("%v: %v", test.reason, got)
		}
	}
}

func TestErrorsAreFound(t *testing.T) {
	cause := amqp.ErrClosed
	var err error = fmt.Errorf("the service: %w", unavailable(cause, "Away."))
	var failed *Error
	if !errors.As(err, &failed) || !failed.Retryable || failed.Details == nil || failed.Code != Unavailable {
		t.Errorf("not found in %v", err)
	}
	if !errors.Is(err, Unavailable) || errors.Is(err, InputError) || !errors.Is(err, cause) {
		t.Errorf("not compared: %v", err)
	}
	lost := leaseLost(LostTakenAway, "taskcluster-x", newError(RequestConflict, "It is being deleted.", nil))
	if !errors.Is(lost, LeaseLost) || !errors.Is(lost, RequestConflict) || lost.Retryable || lost.Reason != LostTakenAway {
		t.Errorf("%+v", lost)
	}
}

func TestReadsErrorsOfAgents(t *testing.T) {
	failed := readError([]byte(`{"code":"RequestConflict","message":"Later.","retryable":false,"details":{"retryAt":"x"},"more":1}`))
	if failed.Code != RequestConflict || failed.Retryable || failed.Details["retryAt"] != "x" || !failed.answered {
		t.Errorf("%+v", failed)
	}
	failed = readError([]byte(`{"code":"TeaPot","message":"No.","retryable":true}`))
	if failed.Code != InternalServerError || !failed.Retryable || failed.Details["code"] != "TeaPot" {
		t.Errorf("%+v", failed)
	}
	for _, text := range []string{"", "[]", `{"code":"InputError"}`, `{"code":1,"message":"","retryable":true}`} {
		if failed := readError([]byte(text)); failed.Code != InternalServerError || failed.answered {
			t.Errorf("%s: %+v", text, failed)
		}
	}
}

func TestRefusesRepliesOfAnotherKind(t *testing.T) {
	key, _ := newReplyKey()
	for name, test := range map[string]struct {
		reply amqp.Delivery
		key   *replyKey
	}{
		"a plain result that should be sealed":  {amqp.Delivery{Type: "result", ContentType: jsonContentType, Body: []byte("{}")}, &key},
		"a sealed result that should not be":    {amqp.Delivery{Type: "result", ContentType: sealedContentType, Body: []byte("a.b.c.d.e")}, nil},
		"a result of an unknown content type":   {amqp.Delivery{Type: "result", ContentType: "text/plain"}, nil},
		"a reply of an unknown type":            {amqp.Delivery{Type: "event", ContentType: jsonContentType}, nil},
		"a sealed result that cannot be opened": {amqp.Delivery{Type: "result", ContentType: sealedContentType, Body: []byte("a.b.c.d.e")}, &key},
	} {
		if _, err := resultOf(test.reply, test.key); !isCode(err, InternalServerError) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSaysHowWrongTheClockIs(t *testing.T) {
	refused := newError(AuthenticationFailed, "The timestamp is wrong.", nil)
	refused.Details["agentTime"] = "2026-11-24T12:00:00.000Z"
	for now, want := range map[time.Time]string{
		noon.Add(90 * time.Minute):  "5400 s ahead of",
		noon.Add(-10 * time.Minute): "600 s behind",
	} {
		explained := explain(refused, now)
		if explained.ClockAhead != now.Sub(noon) || !strings.Contains(explained.Message, want) || explained.Code != AuthenticationFailed {
			t.Errorf("%s: %v", explained.ClockAhead, explained)
		}
	}
	unknown := newError(InputError, "The method is unknown.", nil)
	unknown.Details["field"] = "method"
	if got := explain(unknown, noon); !strings.Contains(got.Message, "older than this client") {
		t.Error(got)
	}
}

func TestPrintsNoSecrets(t *testing.T) {
	claim := Claim{Namespace: "x", ConnectionString: "amqp://u:secret@h", ConnectionStrings: []string{"amqp://u:secret@h"}}
	credentials := Credentials{ClientID: "me", AccessToken: "secret", Certificate: "secret"}
	connection := ConnectionCredentials{ConnectionStrings: claim.ConnectionStrings}
	options := Options{URL: "amqp://u:secret@h", Credentials: credentials}
	client, _ := New(options)
	lease := newLease(&claim, LeaseRequest{}, leaseParts{clock: systemClock(), onStopped: func() {}})
	defer lease.Stop()
	for _, value := range []any{claim, &claim, credentials, &credentials, connection, options, &options, client, lease} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(format, value); strings.Contains(text, "secret") {
				t.Errorf("%T with %s: %s", value, format, text)
			}
		}
	}
}

func TestRefusesOptions(t *testing.T) {
	for field, options := range map[string]Options{
		"url":      {},
		"id":       {URL: "amqp://h", ID: "Other"},
		"audience": {URL: "amqp://h", Audience: "host:443"},
		"timeout":  {URL: "amqp://h", Timeout: -1},
	} {
		_, err := New(options)
		var failed *Error
		if !errors.As(err, &failed) || failed.Code != InputError || failed.Details["field"] != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for url, want := range map[string]string{"amqp://h": "one", "amqp://h/two": "two"} {
		client, err := New(Options{URL: url, ID: "one"})
		if err != nil || client.vhost != want {
			t.Errorf("%s: %v, %v", url, client, err)
		}
	}
}
