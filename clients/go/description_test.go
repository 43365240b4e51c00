package pulseagent

import (
	"encoding/json"
	"testing"
	"time"
)

func TestReadsDescriptions(t *testing.T) {
	var d Description
	err := json.Unmarshal([]byte(`{"namespace":"x","created":"2026-11-24T12:00:00.000Z","expires":"2026-11-24T16:00:00.000Z","state":"active","queueLimits":{"deleteAtMessages":40},
		"holder":"me","connections":0,"observedAt":["2026-11-24T11:59:00.000Z","2026-11-24T12:00:00.000Z"],"moreQueues":true,"queues":[
		{"queue":"a","state":"watched","messages":3,"ready":2,"unacknowledged":1,"growingSince":"2026-11-24T11:59:00.000Z","messagesPerMinute":-1.5,
			"next":{"action":"warn","unit":"messages","at":9,"reachedAt":null},"trend":[null,3],
			"rule":"queues.0","limits":{"warnAtMessages":9,"deleteAtMessages":40,"onOvergrown":"purge"}},
		{"queue":"b","state":"warned","warnedSince":"2026-11-24T12:00:00.000Z","next":{"action":"delete","unit":"bytes","at":7,"reachedAt":"2026-11-24T13:00:00.000Z"},"trend":[]},
		{"queue":"c","state":"watched","next":{"action":"warn","unit":"messages","at":9},"trend":[null,0]}],
		"alerts":[{"queue":"b","state":"warned","since":"2026-11-24T12:00:00.000Z","messages":8}],
		"audit":[{"at":"2026-11-24T12:00:00.000Z","action":"claim","by":"client","clientId":"me","outcome":"done","later":1}],"later":{}}`), &d)
	if err != nil {
		t.Fatal(err)
	}
	if d.Holder != "me" || *d.Connections != 0 || len(d.ObservedAt) != 2 || !d.ObservedAt[1].Equal(noon) || !d.MoreQueues || !d.RefusedUntil.IsZero() {
		t.Errorf("%+v", d)
	}
	a, b, c := d.Queues[0], d.Queues[1], d.Queues[2]
	if *a.Messages != 3 || a.Bytes != nil || *a.MessagesPerMinute != -1.5 || a.Trend[0] != nil || *a.Trend[1] != 3 || *a.Next != (Threshold{"warn", "messages", 9, time.Time{}, true}) {
		t.Errorf("%+v", a)
	}
	if *d.QueueLimits != (QueueLimits{DeleteAtMessages: 40}) || a.Rule != "queues.0" || b.Limits != nil ||
		*a.Limits != (DescribedLimits{QueueLimits{WarnAtMessages: 9, DeleteAtMessages: 40}, "purge"}) {
		t.Errorf("%+v", d)
	}
	if b.Messages != nil || !b.WarnedSince.Equal(noon) || !b.Next.ReachedAt.Equal(noon.Add(time.Hour)) || !b.Next.RateKnown {
		t.Errorf("%+v", b)
	}
	if c.Next.RateKnown || !c.Next.ReachedAt.IsZero() {
		t.Errorf("%+v", c.Next)
	}
	if d.Alerts[0].Messages != 8 || d.Alerts[0].Bytes != nil || d.Audit[0].ClientID != "me" {
		t.Errorf("%+v", d)
	}
	for _, wrong := range []string{`{"created":"soon"}`, `{"queues":[{"next":{"reachedAt":"soon"}}]}`, `{"queues":{}}`} {
		if json.Unmarshal([]byte(wrong), &Description{}) == nil {
			t.Errorf("read %s", wrong)
		}
	}
}
