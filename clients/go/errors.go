package pulseagent

import (
	"errors"
	"fmt"
	"time"
)

// Code is the code of an [Error]. It is an error itself, so that errors.Is finds it:
//
//	if errors.Is(err, pulseagent.InsufficientScopes) { … }
type Code string

// The codes of the contract, and those that only a client has.
const (
	// InputError: a field or an option is invalid. Details["field"] names it; for a method that the agent is too old for
	// it is "method".
	InputError Code = "InputError"
	// AuthenticationFailed: the signature was rejected, or there are no credentials. With Error.ClockAhead the clock of
	// this machine is wrong.
	AuthenticationFailed Code = "AuthenticationFailed"
	// InsufficientScopes: the client lacks the scope Details["required"].
	InsufficientScopes Code = "InsufficientScopes"
	// ResourceNotFound: the namespace does not exist.
	ResourceNotFound Code = "ResourceNotFound"
	// RequestConflict: the namespace is being deleted, was just deleted (Details["retryAt"]) or is revoked
	// (Details["revokedUntil"]). Not retryable: an operator has to act, or the client holds too many namespaces.
	RequestConflict Code = "RequestConflict"
	// ReplayDetected: a copy of the request arrived first.
	ReplayDetected Code = "ReplayDetected"
	// Unavailable: no answer in time, an alarm of RabbitMQ, or too many requests (Details["retryAfterSeconds"]). With
	// Error.MayHaveActed the agent may have served the request.
	Unavailable Code = "Unavailable"
	// InternalServerError: an internal error of the agent.
	InternalServerError Code = "InternalServerError"

	// BrokerRefused: RabbitMQ refuses what Error.Refused names.
	BrokerRefused Code = "BrokerRefused"
	// ClientClosed: the client was closed, or the lease was stopped.
	ClientClosed Code = "ClientClosed"
	// LeaseLost: the credentials of a lease can no longer be valid. Error.Reason says why.
	LeaseLost Code = "LeaseLost"
)

// Error is the code as text, for errors.Is.
func (c Code) Error() string { return string(c) }

var retryableCodes = map[Code]bool{
	InputError: false, AuthenticationFailed: false, InsufficientScopes: false, ResourceNotFound: false,
	RequestConflict: true, ReplayDetected: false, Unavailable: true, InternalServerError: true,
}

// Refusal is what RabbitMQ refuses.
type Refusal string

// The values of [Refusal].
const (
	RefusedUser     Refusal = "user"
	RefusedVhost    Refusal = "vhost"
	RefusedRequests Refusal = "requests"
	// RefusedTLS: TLS does not work as the URL and the options say.
	RefusedTLS Refusal = "tls"
)

// Reason is why the credentials of a lease can no longer be valid.
type Reason string

// The values of [Reason].
const (
	// LostScopes: the client lacks the scope.
	LostScopes Reason = "scopes"
	// LostTakenAway: the namespace is being deleted or is revoked.
	LostTakenAway Reason = "taken-away"
	// LostExpired: the namespace expired before a claim succeeded.
	LostExpired Reason = "expired"
	// LostRefused: no claim succeeded in time, and RabbitMQ refuses the credentials.
	LostRefused Reason = "refused"
)

var lossTexts = map[Reason]string{
	LostScopes:    "the client lacks the scope",
	LostTakenAway: "the namespace is being deleted or is revoked",
	LostExpired:   "the namespace expired before a claim succeeded",
	LostRefused:   "no claim succeeded in time, and RabbitMQ refuses the credentials",
}

// Error is every error of this package, except for the cause of a context that was cancelled. It holds no secrets.
//
//	var failed *pulseagent.Error
//	if errors.As(err, &failed) && failed.Retryable { … }
type Error struct {
	Code Code
	// Message is one sentence for people.
	Message string
	// Retryable: the same call can succeed later without any other change.
	Retryable bool
	// Details are those of the agent; which ones depends on the code. Never nil.
	Details map[string]any

	// ClockAhead is how far the clock of this machine is ahead of the agent's, which therefore rejects its signatures;
	// negative if it is behind, 0 if that is not the reason.
	ClockAhead time.Duration
	// MayHaveActed: no answer came, and the agent may have served the request.
	MayHaveActed bool
	// Refused is what RabbitMQ refuses, of BrokerRefused.
	Refused Refusal
	// Reason is why a lease was lost, of LeaseLost.
	Reason Reason

	cause error
	// Whether an agent answered with it.
	answered bool
	// Whether RabbitMQ had confirmed the request that got no reply, so that the connection was alive.
	confirmed bool
	// Whether it ends the call, although a later one can succeed.
	final bool
}

// Error is the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Is compares with a [Code].
func (e *Error) Is(target error) bool {
	code, isCode := target.(Code)
	return isCode && code == e.Code
}

// Unwrap returns the error behind it, if there is one.
func (e *Error) Unwrap() error { return e.cause }

func newError(code Code, message string, cause error) *Error {
	return &Error{Code: code, Message: message, Retryable: retryableCodes[code], Details: map[string]any{}, cause: cause}
}

func unavailable(cause error, format string, values ...any) *Error {
	return newError(Unavailable, fmt.Sprintf(format, values...), cause)
}

func inputError(field, format string, values ...any) *Error {
	err := newError(InputError, fmt.Sprintf(format, values...), nil)
	err.Details["field"] = field
	return err
}

func brokerRefused(what Refusal, cause error, format string, values ...any) *Error {
	err := newError(BrokerRefused, fmt.Sprintf(format, values...), cause)
	err.Refused = what
	err.Details["refused"] = string(what)
	return err
}

func clientClosed(message string) *Error { return newError(ClientClosed, message, nil) }

func leaseLost(reason Reason, namespace string, cause *Error) *Error {
	message := fmt.Sprintf("The lease of %s is lost: %s. %s", namespace, lossTexts[reason], cause.Message)
	err := newError(LeaseLost, message, cause)
	err.Reason = reason
	err.Details["reason"], err.Details["namespace"] = string(reason), namespace
	return err
}

// noReply: no reply arrived. confirmed: RabbitMQ had confirmed the request.
func noReply(confirmed bool, cause error, format string, values ...any) *Error {
	err := unavailable(cause, format, values...)
	err.MayHaveActed, err.confirmed = true, confirmed
	return err
}

// afterAnswer is a missing reply after an agent has answered an earlier attempt of this call: one runs, and says why it
// cannot serve.
func (e *Error) afterAnswer(answer *Error) *Error {
	if e.confirmed {
		return noReply(true, answer, "An agent answered: %s The last attempt got no reply in time.", answer.Message)
	}
	return noReply(false, e, "%s An agent answered an earlier attempt: %s", e.Message, answer.Message)
}

// asError is any error as one of this package.
func asError(err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	// For example an error of the caller's function for credentials.
	return unavailable(err, "%s", err)
}
