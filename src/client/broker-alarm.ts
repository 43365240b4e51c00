import { WireError } from '../contract/wire-errors.ts';
import type { AmqpConnection } from './rpc.ts';

/** Whether an alarm of RabbitMQ blocks a connection. RabbitMQ says so only after the connection has sent a message. */
export interface BrokerAlarm {
  /** RabbitMQ's reason, such as `low on memory`, while it takes no messages from this connection. */
  readonly reason: string | undefined;
  /**
   * Resolves when the connection is not blocked, or closed.
   *
   * @throws WireError `Unavailable` when the signal aborts first.
   */
  untilOver(signal: AbortSignal): Promise<void>;
  /**
   * The outcome of `work`; `work` itself goes on after a rejection.
   *
   * @throws WireError `Unavailable` as soon as the connection is blocked.
   */
  race<T>(work: Promise<T>): Promise<T>;
}

/** The part of amqplib's connection that reports alarms. A connection of the caller may lack it. */
interface AlarmEmitter {
  on(event: string, listener: (reason?: string) => void): unknown;
}

/** A connection of the caller may get several channels, one after the other. */
const watched = new WeakMap<AmqpConnection, BrokerAlarm>();

/** Follows the alarms of a connection, from before it sends its first message. */
export function watchAlarm(connection: AmqpConnection): BrokerAlarm {
  const alarm = watched.get(connection) ?? followAlarm(connection);
  watched.set(connection, alarm);
  return alarm;
}

function followAlarm(connection: AmqpConnection): BrokerAlarm {
  let reason: string | undefined;
  const onOver = new Set<() => void>();
  const onBlocked = new Set<(why: string) => void>();
  const end = (): void => {
    reason = undefined;
    for (const resolve of onOver) resolve();
    onOver.clear();
  };
  if (isAlarmEmitter(connection)) {
    connection.on('blocked', (why) => {
      reason = why || 'of an unknown kind';
      for (const listener of onBlocked) listener(reason);
    });
    connection.on('unblocked', end);
    connection.on('close', end);
  }
  return {
    get reason() {
      return reason;
    },
    untilOver: (signal) =>
      new Promise((resolve, reject) => {
        if (reason === undefined) return resolve();
        const why = reason;
        const onEnd = (): void => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        };
        const onAbort = (): void => {
          onOver.delete(onEnd);
          reject(new WireError('Unavailable', alarmText(why), { cause: signal.reason }));
        };
        signal.addEventListener('abort', onAbort, { once: true });
        onOver.add(onEnd);
      }),
    race: (work) =>
      new Promise((resolve, reject) => {
        const fail = (why: string): void => reject(new WireError('Unavailable', alarmText(why)));
        if (reason !== undefined) fail(reason);
        onBlocked.add(fail);
        work.then(resolve, reject).finally(() => onBlocked.delete(fail));
      }),
  };
}

/** What a failed request says about an alarm. */
export function alarmText(reason: string): string {
  return `RabbitMQ takes no messages while it has an alarm (${reason}). Retry when the alarm is over.`;
}

function isAlarmEmitter(connection: object): connection is AlarmEmitter {
  return 'on' in connection && typeof connection.on === 'function';
}
