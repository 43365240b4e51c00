package pulseagent

import (
	"errors"
	"math"
	"time"
)

// heldClaim is the latest successful claim of a lease. Its instants are those of the agent, read as ones of this clock.
type heldClaim struct {
	claimed time.Time
	// Until when its credentials work, at least.
	reclaim time.Time
	// When the namespace and everything it owns is deleted.
	expires time.Time
}

const (
	// A lease renews when 5 to 10 % of the time until reclaimAt is left, which leaves room for retries. That is never before
	// the rotation that makes new credentials: at least a third of this time is left then.
	earlyShare       = 0.05
	earlyJitterShare = 0.05
	// Between two claims. With reclaimAt at a fixed expires, the pauses would become ever shorter.
	minRenewalPause   = time.Second
	firstRenewalPause = time.Second
	maxRenewalPause   = time.Minute

	// Between two attempts of one call.
	firstRetryPause = 250 * time.Millisecond
	maxRetryPause   = 5 * time.Second
)

// decideRenewal says when to claim again after a claim that succeeded.
func decideRenewal(held heldClaim, random float64) time.Time {
	valid := max(0, held.reclaim.Sub(held.claimed))
	early := time.Duration(float64(valid) * (earlyShare + earlyJitterShare*random))
	renewal, earliest := held.reclaim.Add(-early), held.claimed.Add(minRenewalPause)
	if renewal.Before(earliest) {
		return earliest
	}
	return renewal
}

// failedRenewal is a renewal that failed.
type failedRenewal struct {
	code Code
	// How often renewing has failed in a row, including this time.
	failures int
	// Whether RabbitMQ refused the current credentials; false if they were not tried or it did not answer.
	credentialsRefused bool
	// The clock of this machine, and how far it is known to be ahead of the agent's.
	now    time.Time
	ahead  time.Duration
	random float64
}

// afterFailure is what to do after a failed renewal: claim again at an instant, or, with a reason, the lease is lost.
type afterFailure struct {
	claimAt time.Time
	lost    Reason
}

// decideAfterFailure: a lease is lost only when its credentials can no longer be valid: the client lost the scope, the
// namespace is being deleted or revoked, it expired, or, after reclaimAt, RabbitMQ refuses the credentials. After every
// other failure, even an hour without an agent, the lease tries again.
func decideAfterFailure(held heldClaim, failed failedRenewal) afterFailure {
	agentNow := failed.now.Add(-failed.ahead)
	switch {
	case failed.code == InsufficientScopes:
		return afterFailure{lost: LostScopes}
	case failed.code == RequestConflict:
		return afterFailure{lost: LostTakenAway}
	case !agentNow.Before(held.expires):
		return afterFailure{lost: LostExpired}
	// Before reclaimAt the agent repairs an account that was changed by hand.
	case failed.credentialsRefused && !agentNow.Before(held.reclaim):
		return afterFailure{lost: LostRefused}
	}
	pause := jitteredBackoff(failed.failures, failed.random, firstRenewalPause, maxRenewalPause)
	if valid := held.reclaim.Sub(agentNow); valid > 0 {
		// Before reclaimAt, leave time for another attempt.
		pause = min(pause, valid/2)
	}
	pause = max(minRenewalPause/2, pause)
	// One last attempt when the namespace expires; then the lease is lost.
	return afterFailure{claimAt: failed.now.Add(min(pause, held.expires.Sub(agentNow)))}
}

// isRepeatable: a second release or revocation could hit a namespace that another client claimed after the first one.
func isRepeatable(method string) bool {
	return method != "release-namespace" && method != "revoke-namespace"
}

// failedAttempt is one failed attempt to send a request and get its reply.
type failedAttempt struct {
	err    error
	method string
	// How often it has failed, including this attempt.
	failures int
	// The time left for the whole call.
	left   time.Duration
	now    time.Time
	random float64
}

// decideRetry returns the pause before the request is sent again with a new signature, and false if it is not: a retry
// could not succeed, or not in time, or might do twice what must be done once.
func decideRetry(failed failedAttempt) (time.Duration, bool) {
	var err *Error
	if !errors.As(failed.err, &err) || !err.Retryable || err.final || err.MayHaveActed && !isRepeatable(failed.method) {
		return 0, false
	}
	pause := jitteredBackoff(failed.failures, failed.random, firstRetryPause, maxRetryPause)
	pause = max(pause, requestedPause(err.Details, failed.now))
	return pause, pause < failed.left
}

// requestedPause is how long a retry cannot succeed, according to the agent.
func requestedPause(details map[string]any, now time.Time) time.Duration {
	if seconds, isNumber := details["retryAfterSeconds"].(float64); isNumber {
		return time.Duration(min(seconds, math.MaxInt32) * float64(time.Second))
	}
	for _, name := range []string{"retryAt", "revokedUntil"} {
		if text, isText := details[name].(string); isText {
			if until, err := parseInstant(text); err == nil {
				return until.Sub(now)
			}
		}
	}
	return 0
}

// jitteredBackoff is exponential, with jitter between half of the pause and all of it, so that clients that failed at the
// same time do not all retry at the same time.
func jitteredBackoff(failures int, random float64, first, limit time.Duration) time.Duration {
	full := min(float64(limit), float64(first)*math.Pow(2, float64(min(failures-1, 30))))
	return time.Duration(full * (0.5 + random/2))
}
