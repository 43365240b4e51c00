package pulseagent

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var held = heldClaim{claimed: noon, reclaim: noon.Add(90 * time.Minute), expires: noon.Add(240 * time.Minute)}

const almostOne = 0.999999999

func TestRenewsWhen90To95PercentHavePassed(t *testing.T) {
	if got := decideRenewal(held, 0); !got.Equal(held.reclaim.Add(-4*time.Minute - 30*time.Second)) {
		t.Errorf("at the latest %s", got)
	}
	if got := decideRenewal(held, almostOne).Sub(held.reclaim.Add(-9 * time.Minute)); got < 0 || got > time.Millisecond {
		t.Errorf("at the earliest %s off", got)
	}
	for range 1000 {
		valid := time.Duration(rand.Int64N(int64(120*time.Second))) - 100*time.Second
		if got := decideRenewal(heldClaim{claimed: noon, reclaim: noon.Add(valid)}, rand.Float64()); got.Before(noon.Add(time.Second)) {
			t.Fatalf("%s after a claim that holds for %s", got.Sub(noon), valid)
		}
		// A claim at any time before the next rotation; the promise ends half an interval after that.
		interval := 20*time.Second + time.Duration(rand.Int64N(int64(24*time.Hour)))
		rotation := noon.Add(time.Duration(rand.Int64N(int64(interval))))
		end := rotation.Add(interval / 2)
		if got := decideRenewal(heldClaim{claimed: noon, reclaim: end}, rand.Float64()); !got.After(rotation) || !got.Before(end) {
			t.Fatalf("%s, rotation %s, end %s", got, rotation, end)
		}
	}
}

func after(change func(*failedRenewal)) afterFailure {
	failed := failedRenewal{code: Unavailable, failures: 1, now: noon.Add(85 * time.Minute)}
	change(&failed)
	return decideAfterFailure(held, failed)
}

func TestIsLostOnlyWhenTheCredentialsCannotBeValid(t *testing.T) {
	code := func(code Code) func(*failedRenewal) { return func(f *failedRenewal) { f.code = code } }
	at := func(now time.Time, refused bool) func(*failedRenewal) {
		return func(f *failedRenewal) { f.now, f.credentialsRefused = now, refused }
	}
	skewed := func(ahead time.Duration) func(*failedRenewal) {
		return func(f *failedRenewal) {
			f.code, f.now, f.ahead = AuthenticationFailed, held.expires.Add(time.Minute), ahead
		}
	}
	for name, test := range map[string]struct {
		change func(*failedRenewal)
		want   Reason
	}{
		"without the scope":             {code(InsufficientScopes), LostScopes},
		"revoked":                       {code(RequestConflict), LostTakenAway},
		"just before the end":           {at(held.expires.Add(-time.Millisecond), false), ""},
		"at the end":                    {at(held.expires, false), LostExpired},
		"refused before reclaimAt":      {at(held.reclaim.Add(-time.Millisecond), true), ""},
		"refused at reclaimAt":          {at(held.reclaim, true), LostRefused},
		"not refused at reclaimAt":      {at(held.reclaim, false), ""},
		"a clock that is far ahead":     {skewed(300 * time.Minute), ""},
		"a clock that is hardly ahead":  {skewed(time.Minute), LostExpired},
		"any other code":                {code(AuthenticationFailed), ""},
		"RabbitMQ refuses the claimant": {code(BrokerRefused), ""},
	} {
		if got := after(test.change); got.lost != test.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRetriesTheRenewalUntilTheEnd(t *testing.T) {
	for range 1000 {
		now := noon.Add(time.Duration(rand.Int64N(int64(240 * time.Minute))))
		got := after(func(f *failedRenewal) {
			f.now, f.failures, f.random = now, 1+rand.IntN(500), rand.Float64()
		})
		if !got.claimAt.After(now) || got.claimAt.After(now.Add(time.Minute)) || got.claimAt.After(held.expires) {
			t.Fatalf("at %s: %+v", now, got)
		}
	}
	got := after(func(f *failedRenewal) { f.failures, f.random, f.now = 20, 0.9, held.reclaim.Add(-10*time.Second) })
	if !got.claimAt.Equal(held.reclaim.Add(-5 * time.Second)) {
		t.Errorf("no room for another attempt: %+v", got)
	}
}

func retry(change func(*failedAttempt)) (time.Duration, bool) {
	failed := failedAttempt{err: unavailable(nil, "Away."), method: "claim-namespace", failures: 1, left: 30 * time.Second, now: noon, random: 0.5}
	change(&failed)
	return decideRetry(failed)
}

func withError(err error) func(*failedAttempt) { return func(f *failedAttempt) { f.err = err } }

func TestRetriesWhatCanSucceedLater(t *testing.T) {
	for code, retryable := range retryableCodes {
		if _, retried := retry(withError(newError(code, "No.", nil))); retried != retryable {
			t.Errorf("%s: retried %v", code, retried)
		}
	}
	final := newError(Unavailable, "No.", nil)
	final.Retryable = false
	later := newError(InputError, "Later.", nil)
	later.Retryable = true
	for err, want := range map[error]bool{final: false, later: true, brokerRefused(RefusedUser, nil, "No."): false, errors.New("a bug"): false} {
		if _, retried := retry(withError(err)); retried != want {
			t.Errorf("%v: retried %v", err, retried)
		}
	}
}

func TestDoesNotRepeatAReleaseThatMayHaveBeenServed(t *testing.T) {
	for _, method := range []string{"release-namespace", "revoke-namespace"} {
		if _, retried := retry(func(f *failedAttempt) { f.method, f.err = method, noReply(true, nil, "None.") }); retried {
			t.Errorf("%s is sent again", method)
		}
		if _, retried := retry(func(f *failedAttempt) { f.method = method }); !retried {
			t.Errorf("%s is not sent again after a full queue", method)
		}
	}
	if _, retried := retry(withError(noReply(true, nil, "None."))); !retried {
		t.Error("a claim is not sent again")
	}
}

func TestWaitsAsLongAsTheAgentSays(t *testing.T) {
	with := func(name string, value any) error {
		err := newError(RequestConflict, "Later.", nil)
		err.Details[name] = value
		return err
	}
	in := func(pause time.Duration) string { return formatInstant(noon.Add(pause)) }
	for _, test := range []struct {
		err   error
		pause time.Duration
		retry bool
	}{
		{with("retryAt", in(7*time.Second)), 7 * time.Second, true},
		{with("revokedUntil", in(7*time.Second)), 7 * time.Second, true},
		{with("revokedUntil", in(30001*time.Millisecond)), 30001 * time.Millisecond, false},
		{with("retryAfterSeconds", 7.0), 7 * time.Second, true},
		{with("retryAfterSeconds", 31.0), 31 * time.Second, false},
		{with("retryAfterSeconds", "soon"), 187500 * time.Microsecond, true},
	} {
		if pause, retried := retry(withError(test.err)); pause != test.pause || retried != test.retry {
			t.Errorf("%v: %s, %v", test.err.(*Error).Details, pause, retried)
		}
	}
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	if got := jitteredBackoff(1, 0, time.Second, time.Minute); got != 500*time.Millisecond {
		t.Errorf("first %s", got)
	}
	if got := jitteredBackoff(3, 0.5, time.Second, time.Minute); got != 3*time.Second {
		t.Errorf("third %s", got)
	}
	for n := 1; n < 5000; n += 1 + n/3 {
		random := rand.Float64()
		pause, next := jitteredBackoff(n, random, time.Second, time.Minute), jitteredBackoff(n+1, random, time.Second, time.Minute)
		if pause < 500*time.Millisecond || pause > time.Minute || next < pause {
			t.Errorf("after %d failures %s, then %s", n, pause, next)
		}
	}
}
