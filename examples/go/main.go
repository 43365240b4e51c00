// Keeps a namespace: claims it, uses the credentials until it is time to claim again, and repeats.
//
//	go run . taskcluster-team-a         # until Ctrl-C
//	go run . -once taskcluster-team-a   # until the first message
//
// Reads PULSE_AGENT_URL (the address with the claimant's credentials, and the vhost of the requests as its path; for a
// cluster one for each node, with commas between),
// TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN, and, for temporary credentials, TASKCLUSTER_CERTIFICATE.
// PULSE_AGENT_ID and PULSE_AGENT_AUDIENCE where the agent has others than pulse-agent.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/pulse-agent-example/pulseagent"
)

func main() {
	log.SetFlags(0)
	once := flag.Bool("once", false, "end after the first message")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("name the namespace")
	}
	for _, name := range []string{"PULSE_AGENT_URL", "TASKCLUSTER_CLIENT_ID", "TASKCLUSTER_ACCESS_TOKEN"} {
		if os.Getenv(name) == "" {
			log.Fatalf("set the environment variable %s: README.md shows an example", name)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := hold(ctx, flag.Arg(0), *once); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func hold(ctx context.Context, namespace string, once bool) error {
	for ctx.Err() == nil {
		claim, err := claimPatiently(ctx, namespace)
		if err != nil {
			return err
		}
		fmt.Println("claimed, to be claimed again at", claim.ReclaimAt.Format(time.RFC3339))
		// Earlier than reclaimAt: clocks differ, and a claim may need retries.
		until, cancel := context.WithTimeout(ctx, time.Until(claim.ReclaimAt)*9/10)
		err = work(until, namespace, claim.Addresses(), once)
		cancel()
		if err == nil && once {
			return nil
		}
		if err != nil {
			log.Print("the connection is gone: ", err)
		}
	}
	return ctx.Err()
}

// claimPatiently claims, and tries again with growing pauses for as long as that can help.
func claimPatiently(ctx context.Context, namespace string) (*pulseagent.Claim, error) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		claim, err := claim(ctx, namespace)
		var refused *pulseagent.Error
		if err == nil || errors.As(err, &refused) && !refused.Retryable {
			return claim, err
		}
		log.Print("claiming again in a moment: ", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func claim(ctx context.Context, namespace string) (*pulseagent.Claim, error) {
	credentials := pulseagent.Credentials{
		ClientID:    os.Getenv("TASKCLUSTER_CLIENT_ID"),
		AccessToken: os.Getenv("TASKCLUSTER_ACCESS_TOKEN"),
	}
	if certificate := os.Getenv("TASKCLUSTER_CERTIFICATE"); certificate != "" {
		credentials.Certificate = json.RawMessage(certificate)
	}
	client, err := pulseagent.Dial(os.Getenv("PULSE_AGENT_URL"), credentials)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	client.ID = cmp.Or(os.Getenv("PULSE_AGENT_ID"), client.ID)
	client.Audience = cmp.Or(os.Getenv("PULSE_AGENT_AUDIENCE"), client.Audience)
	return client.Claim(ctx, namespace)
}

// work publishes a message to an exchange of the namespace, and takes what comes to a queue of the namespace.
func work(ctx context.Context, namespace string, addresses []string, once bool) error {
	connection, err := pulseagent.Open(addresses...)
	if err != nil {
		return err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	exchange, queue := "exchange/"+namespace+"/example", "queue/"+namespace+"/example"
	if err := channel.ExchangeDeclare(exchange, "topic", true, false, false, false, nil); err != nil {
		return err
	}
	arguments := amqp.Table{"x-queue-type": "quorum"}
	if _, err := channel.QueueDeclare(queue, true, false, false, false, arguments); err != nil {
		return err
	}
	if err := channel.QueueBind(queue, "greeting.#", exchange, false, nil); err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	message := amqp.Publishing{Body: []byte("hello from Go"), DeliveryMode: amqp.Persistent}
	confirm, err := channel.PublishWithDeferredConfirm(exchange, "greeting.hello", true, false, message)
	if err != nil {
		return err
	}
	acked, err := confirm.WaitContext(ctx)
	if err != nil {
		return err
	}
	if !acked {
		return errors.New("the broker did not take the message")
	}
	deliveries, err := channel.ConsumeWithContext(ctx, queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for delivery := range deliveries {
		fmt.Println("received:", string(delivery.Body))
		if err := delivery.Ack(false); err != nil {
			return err
		}
		if once {
			return nil
		}
	}
	if ctx.Err() == nil {
		return errors.New("closed by the broker")
	}
	// What was not acknowledged comes again over the next connection.
	return nil
}
