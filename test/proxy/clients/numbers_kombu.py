# As numbers_pika.py, with kombu as in Celery.
import os
import socket

from kombu import Connection, Exchange, Queue

url, namespace = os.environ["AMQP_URL"], os.environ["NAMESPACE"]
exchange = Exchange(f"exchange/{namespace}/numbers", "fanout")
queue = Queue(f"queue/{namespace}/numbers", exchange)
sent, received, logins, stop = 0, set(), 0, False


def take(body, message):
    received.add(int(body))
    message.ack()


while not stop or len(received) < sent:
    connection = Connection(url, transport_options={"confirm_publish": True})
    try:
        connection.connect()
        logins += 1
        print("login", flush=True)
        channel = connection.channel()
        producer = connection.Producer(channel)
        with connection.Consumer([queue], callbacks=[take], channel=channel):
            while not stop or len(received) < sent:
                stop = stop or os.path.exists(os.environ["STOP"])
                if not stop:
                    producer.publish(str(sent), exchange=exchange, content_type="text/plain", content_encoding="utf-8")
                    sent += 1
                try:
                    connection.drain_events(timeout=0.02)
                except socket.timeout:
                    pass
    except connection.recoverable_connection_errors as error:
        if getattr(error, "code", None) not in (None, 0, 320):
            raise
    finally:
        connection.release()
print("done", sent, len(received), logins)
