import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';

/** Takes a quorum queue down, as the loss of its nodes does, or brings it up again. A single node cannot lose another one. */
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

/** Kills a classic queue's process until its supervisor gives up, as a damaged message store does. */
export async function crashQueue(broker: LocalRabbitMQ, vhost: string, queue: string): Promise<void> {
  const kill = '{ok, Q} = rabbit_amqqueue:lookup(N), exit(amqqueue:get_pid(Q), kill), timer:sleep(200)';
  await broker.rabbitmqctl([
    'eval',
    `N = {resource, <<"${vhost}">>, queue, <<"${queue}">>}, [begin ${kill} end || _ <- lists:seq(1, 12)].`,
  ]);
}
