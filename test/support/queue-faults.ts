import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';

/** Stops a quorum queue, as the loss of most of its nodes would, or starts it again. */
export async function setQuorumQueue(
  broker: LocalRabbitMQ,
  vhost: string,
  queue: string,
  to: 'down' | 'up',
): Promise<void> {
  const call = to === 'down' ? 'stop_server' : 'restart_server';
  await broker.rabbitmqctl([
    'eval',
    `{ok, Q} = rabbit_amqqueue:lookup({resource, <<"${vhost}">>, queue, <<"${queue}">>}), ra:${call}(quorum_queues, amqqueue:get_pid(Q)).`,
  ]);
}

/** Kills a classic queue's process until its supervisor stops restarting it, as a damaged message store would. */
export async function crashQueue(broker: LocalRabbitMQ, vhost: string, queue: string): Promise<void> {
  const kill = '{ok, Q} = rabbit_amqqueue:lookup(N), exit(amqqueue:get_pid(Q), kill), timer:sleep(200)';
  await broker.rabbitmqctl([
    'eval',
    `N = {resource, <<"${vhost}">>, queue, <<"${queue}">>}, [begin ${kill} end || _ <- lists:seq(1, 12)].`,
  ]);
}
