// A program that knows one URL: it publishes numbers with confirms and consumes them, and connects again when it has to.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	namespace = os.Getenv("NAMESPACE")
	queue     = "queue/" + namespace + "/numbers"
	exchange  = "exchange/" + namespace + "/numbers"
	sent      int
	received  = map[string]bool{}
)

func main() {
	logins := 0
	for !isDone() {
		connection, err := amqp.Dial(os.Getenv("AMQP_URL"))
		if err != nil {
			log.Fatal(err)
		}
		logins++
		fmt.Println("login")
		var closed *amqp.Error
		if err := pass(connection); err != nil && (!errors.As(err, &closed) || !isForced(closed)) {
			log.Fatal(err)
		}
		connection.Close()
	}
	fmt.Println("done", sent, len(received), logins)
}

func isStopping() bool {
	_, err := os.Stat(os.Getenv("STOP"))
	return err == nil
}

func isDone() bool {
	return isStopping() && len(received) >= sent
}

// What is called after RabbitMQ has closed the connection gets 504.
func isForced(err *amqp.Error) bool {
	return err.Code == amqp.ConnectionForced || errors.Is(err, amqp.ErrClosed)
}

func pass(connection *amqp.Connection) error {
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	closed := connection.NotifyClose(make(chan *amqp.Error, 1))
	_, declared := channel.QueueDeclare(queue, true, false, false, false, nil)
	deliveries, consuming := channel.Consume(queue, "", false, false, false, false, nil)
	if err := errors.Join(
		channel.Confirm(false),
		channel.ExchangeDeclare(exchange, "fanout", false, false, false, false, nil),
		declared,
		channel.QueueBind(queue, "", exchange, false, nil),
		consuming,
	); err != nil {
		return err
	}
	for !isDone() {
		if !isStopping() {
			number := amqp.Publishing{Body: []byte(strconv.Itoa(sent))}
			confirm, err := channel.PublishWithDeferredConfirm(exchange, "", true, false, number)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			isConfirmed, err := confirm.WaitContext(ctx)
			cancel()
			if err == nil && isConfirmed {
				sent++
			}
		}
		select {
		case delivery, ok := <-deliveries:
			if !ok {
				if err := <-closed; err != nil {
					return err
				}
				return amqp.ErrClosed
			}
			received[string(delivery.Body)] = true
			if err := delivery.Ack(false); err != nil {
				return err
			}
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}
