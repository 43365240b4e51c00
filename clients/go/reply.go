package pulseagent

import (
	"encoding/json"

	amqp "github.com/rabbitmq/amqp091-go"
)

// resultOf returns the JSON of a result, opened with the key if it has to be sealed.
func resultOf(reply amqp.Delivery, key *replyKey) ([]byte, error) {
	switch {
	case reply.Type == "error" && reply.ContentType == jsonContentType:
		return nil, readError(reply.Body)
	case reply.Type == "result" && reply.ContentType == jsonContentType:
		if key != nil {
			return nil, newError(InternalServerError, "The result should be sealed and is not.", nil)
		}
		return reply.Body, nil
	case reply.Type == "result" && reply.ContentType == sealedContentType:
		if key == nil {
			return nil, newError(InternalServerError, "The result is sealed and should not be.", nil)
		}
		return key.open(string(reply.Body))
	}
	return nil, newError(InternalServerError, "The reply has an unknown type or content type.", nil)
}

// readError reads the error of an agent. An unknown code becomes InternalServerError with that code in the details, and
// with the agent's Retryable.
func readError(content []byte) *Error {
	var body struct {
		Code      *string        `json:"code"`
		Message   *string        `json:"message"`
		Retryable *bool          `json:"retryable"`
		Details   map[string]any `json:"details"`
	}
	if err := json.Unmarshal(content, &body); err != nil || body.Code == nil || body.Message == nil || body.Retryable == nil {
		return newError(InternalServerError, "The error in the reply does not follow the contract.", err)
	}
	failed := newError(Code(*body.Code), *body.Message, nil)
	failed.Retryable, failed.answered = *body.Retryable, true
	for name, value := range body.Details {
		failed.Details[name] = value
	}
	if _, known := retryableCodes[failed.Code]; !known {
		failed.Details["code"] = *body.Code
		failed.Code = InternalServerError
	}
	return failed
}
