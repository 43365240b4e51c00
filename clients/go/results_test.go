package pulseagent

import (
	"encoding/json"
	"testing"
	"time"
)

func TestReadsNamespaces(t *testing.T) {
	view := `{"namespace":"x","created":"2026-11-24T12:00:00Z","expires":"2026-11-24T16:00:00Z","state":"active","more":1`
	read := func(rest string) (namespace Namespace, err error) {
		return namespace, json.Unmarshal([]byte(view+rest+"}"), &namespace)
	}
	if n, err := read(`,"blockedBy":"a node"`); err != nil || n.State != "active" || n.BlockedBy != "a node" || n.Details != nil || !n.Created.Equal(noon) {
		t.Errorf("%+v, %v", n, err)
	}
	n, err := read(`,"details":{"holder":"me","nextRotation":"2026-11-24T13:00:00Z","counts":{"at":"2026-11-24T12:30:00Z","queues":3,"messages":12,"connections":2}}`)
	if err != nil || n.Details == nil || n.Details.Holder != "me" || !n.Details.LastClaim.IsZero() || !n.Details.NextRotation.Equal(noon.Add(time.Hour)) ||
		*n.Details.Counts != (Counts{At: noon.Add(30 * time.Minute), Queues: 3, Messages: 12, Connections: 2}) {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err := read(`,"details":{"holder":"me"}`); err != nil || n.Details.Counts != nil {
		t.Errorf("%+v, %v", n, err)
	}
	for _, rest := range []string{`,"details":{"lastClaim":"soon"}`, `,"expires":"soon"`, `,"state":1`} {
		if _, err := read(rest); err == nil {
			t.Errorf("read with %s", rest)
		}
	}
}
