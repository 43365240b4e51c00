package pulseagent

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

// The tests of this file need a running agent, which the environment names as it does for the service.
func dial(t *testing.T) *Client {
	t.Helper()
	url := os.Getenv("PULSE_AGENT_URL")
	if url == "" {
		t.Skip("PULSE_AGENT_URL is not set")
	}
	client, err := Dial(url, Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	client.ID = os.Getenv("PULSE_AGENT_ID")
	return client
}

func TestAnswers(t *testing.T) {
	client := dial(t)
	var pong struct{ Alive bool }
	if err := client.Request(context.Background(), "ping", struct{}{}, &pong); err != nil || !pong.Alive {
		t.Fatalf("ping: %+v, %v", pong, err)
	}
	tests := []struct {
		method, namespace, code string
		field                   any
	}{
		{"get-namespace", "taskcluster-team-none", "ResourceNotFound", nil},
		{"get-namespace", "other", "InputError", "namespace"},
		{"transfer-namespace", "taskcluster-team", "InputError", "method"},
	}
	for _, test := range tests {
		err := client.Request(context.Background(), test.method, map[string]string{"namespace": test.namespace}, nil)
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != test.code || refused.Retryable || refused.Details["field"] != test.field {
			t.Errorf("%s %s: %v", test.method, test.namespace, err)
		}
	}
}

func TestNoAgent(t *testing.T) {
	client := dial(t)
	client.Timeout = 500 * time.Millisecond
	err := client.Request(context.Background(), "ping", struct{}{}, &json.RawMessage{})
	if !errors.Is(err, ErrNoReply) {
		t.Errorf("without an agent: %v", err)
	}
}
