# A program that knows one URL: it publishes numbers with confirms and consumes them, and connects again when it has to.
import os
import time

import pika

url, namespace = os.environ["AMQP_URL"], os.environ["NAMESPACE"]
queue, exchange = f"queue/{namespace}/numbers", f"exchange/{namespace}/numbers"
sent, received, logins, stop = 0, set(), 0, False
while not stop or len(received) < sent:
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        logins += 1
        print("login", flush=True)
        channel = connection.channel()
        channel.confirm_delivery()
        channel.exchange_declare(exchange, "fanout")
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, exchange)
        while not stop or len(received) < sent:
            stop = stop or os.path.exists(os.environ["STOP"])
            if not stop:
                channel.basic_publish(exchange, "", str(sent).encode(), mandatory=True)
                sent += 1
            method, _, body = channel.basic_get(queue)
            if method is not None:
                channel.basic_ack(method.delivery_tag)
                received.add(int(body))
            time.sleep(0.01)
        connection.close()
    except (pika.exceptions.ConnectionClosedByBroker, pika.exceptions.StreamLostError) as error:
        if getattr(error, "reply_code", 320) != 320:
            raise
print("done", sent, len(received), logins)
