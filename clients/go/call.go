package pulseagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// claimWith claims over a connection with the credentials of the claimed account.
func (c *Client) claimWith(ctx context.Context, connectionStrings string, body map[string]any) (*Claim, error) {
	urls, err := parseURLs(connectionStrings)
	if err != nil {
		return nil, err
	}
	connection := c.connectionTo(urls)
	defer connection.closeWith(clientClosed("The connection is closed."))
	return c.claimForLease(ctx, connection, body)
}

// claimForLease: a namespace that is being deleted or is revoked is lost, even if it could be claimed again soon.
func (c *Client) claimForLease(ctx context.Context, connection *rpcConnection, body map[string]any) (*Claim, error) {
	claim := &Claim{}
	if err := c.callOver(ctx, connection, call{method: "claim-namespace", body: body, conflictsAreFinal: true}, claim); err != nil {
		return nil, err
	}
	return claim, nil
}

func (c *Client) call(ctx context.Context, method string, body map[string]any, result any) error {
	return c.callOver(ctx, c.connection, call{method: method, body: body}, result)
}

// errLate ends the context of a call whose own time is up.
var errLate = errors.New("the time for the call is up")

// callOver sends a request until it succeeds, cannot succeed, or the time for the call is up.
func (c *Client) callOver(ctx context.Context, connection *rpcConnection, request call, result any) error {
	limited, cancel := context.WithTimeoutCause(ctx, c.options.Timeout, errLate)
	defer cancel()
	ended, end := context.WithCancelCause(limited)
	defer end(nil)
	stop := context.AfterFunc(c.closing, func() { end(context.Cause(c.closing)) })
	defer stop()
	deadline, _ := limited.Deadline()
	left := func() time.Duration { return time.Until(deadline) }

	var last, answer *Error
	for failures := 1; ; failures++ {
		err := c.attempt(ended, connection, request, result, left)
		if err == nil {
			return nil
		}
		var failed *Error
		if errors.As(err, &failed) {
			last = failed
			if failed.answered {
				answer = failed
			}
		}
		now := c.clock.wall()
		final := failed == nil || request.conflictsAreFinal && failed.Code == RequestConflict
		if !final && ended.Err() == nil {
			pause, retried := decideRetry(failedAttempt{failed, request.method, failures, left(), now, c.clock.random()})
			if retried && sleep(ended, pause) == nil {
				continue
			}
		}
		// The time-out of the request and that of the context come at the same moment.
		if left() < 10*time.Millisecond {
			<-ended.Done()
		}
		return c.errorOf(ctx, ended, err, last, answer, now)
	}
}

// sleep returns the cause of the context when that ends first.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) attempt(ctx context.Context, connection *rpcConnection, request call, result any, left func() time.Duration) error {
	if request.isSigned() {
		credentials, err := c.credentials(ctx, request.method)
		if err != nil {
			return err
		}
		request.credentials = credentials
	}
	text, err := connection.request(ctx, request, func() time.Duration { return min(attemptTimeout, left()) })
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, result); err != nil {
		return badResult(err)
	}
	return nil
}

func badResult(cause error) *Error {
	return newError(InternalServerError, "The result does not follow the contract.", cause)
}

func (c *Client) credentials(ctx context.Context, method string) (Credentials, error) {
	credentials := c.options.Credentials
	if c.options.CredentialsFunc != nil {
		var err error
		if credentials, err = c.options.CredentialsFunc(ctx); err != nil {
			failed := unavailable(err, "The function for credentials failed: %s.", err)
			failed.final = true
			return credentials, failed
		}
	}
	if credentials.ClientID == "" || credentials.AccessToken == "" {
		message := fmt.Sprintf("The method %s needs a signature, but there are no credentials: ClientID and AccessToken must not be empty.", method)
		return credentials, newError(AuthenticationFailed, message, nil)
	}
	return credentials, nil
}

// errorOf is the error of a call: the cause of a cancelled context, or the last failure that says something.
func (c *Client) errorOf(ctx, ended context.Context, err error, last, answer *Error, now time.Time) error {
	if c.closing.Err() != nil {
		return context.Cause(c.closing)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	switch {
	case last == nil && ended.Err() != nil:
		last = unavailable(nil, "RabbitMQ did not answer in time.")
	case last == nil:
		return err
	case last.MayHaveActed && answer != nil:
		last = last.afterAnswer(answer)
	}
	explained := explain(last, now)
	if ctx.Err() != nil {
		explained.cause = errors.Join(ctx.Err(), context.Cause(ctx), explained.cause)
	}
	return explained
}

// explain says what the client knows better than the agent.
func explain(failed *Error, now time.Time) *Error {
	explained := *failed
	if text, isText := failed.Details["agentTime"].(string); isText && failed.Code == AuthenticationFailed {
		if agentTime, err := parseInstant(text); err == nil {
			ahead := now.Sub(agentTime)
			direction := "behind"
			if ahead > 0 {
				direction = "ahead of"
			}
			explained.ClockAhead = ahead
			explained.Message = fmt.Sprintf("The clock of this machine is about %d s %s the agent's clock, so the agent rejects its signatures. Set the clock.", int(ahead.Abs().Round(time.Second).Seconds()), direction)
		}
	}
	if failed.Code == InputError && failed.Details["field"] == "method" {
		explained.Message = "The agent does not serve this method: it is older than this client. Update the agent first."
	}
	return &explained
}
