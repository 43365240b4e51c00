import { connect } from 'amqplib';
import type { Management } from '../../src/broker/management.ts';
import type { Store } from '../../src/store/store.ts';

/** Right before a step is taken, or right after it is known to be done. */
export type Moment = 'before' | 'after';

/** Is told of every step of an agent: a write to the store, to the broker, a reply, an acknowledgement. */
export interface StepObserver {
  /** @param step the part and its method, as `namespaces.insert` */
  before(step: string): void;
  after(step: string): void;
}

/** What changes nothing: a crash there shows no more than one at the write before it. */
const READS = /^(get|list|due)[A-Z]?|^(check|close|runningNodes|overview|whoAmI)$/;

/** The store with every write observed, also those that are added to its port later. */
export function observeStore(store: Store, observer: StepObserver): Store {
  return {
    kind: store.kind,
    storeId: store.storeId,
    namespaces: observeWrites('namespaces', store.namespaces, observer),
    nonces: observeWrites('nonces', store.nonces, observer),
    check: () => store.check(),
    close: () => store.close(),
  };
}

/** The management API with every write observed. */
export function observeManagement(management: Management, observer: StepObserver): Management {
  return observeWrites('management', management, observer);
}

function observeWrites<Part extends object>(name: string, part: Part, observer: StepObserver): Part {
  return new Proxy(part, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function' || typeof property !== 'string') return member;
      if (READS.test(property)) return member.bind(target) as unknown;
      return async (...args: unknown[]) => {
        const step = `${name}.${property}`;
        observer.before(step);
        const result: unknown = await Reflect.apply(member, target, args);
        observer.after(step);
        return result;
      };
    },
  });
}

type Publish = (
  exchange: string,
  routingKey: string,
  content: Buffer,
  options: object,
  callback: (error: Error | null) => void,
) => boolean;

interface ChannelMethods {
  ack(message: unknown, ...rest: unknown[]): void;
  nack(message: unknown, ...rest: unknown[]): void;
  prefetch(count: number): Promise<unknown>;
}

/**
 * Observes replies (`reply.publish`: done when the broker has confirmed it) and acknowledgements (`request.ack`: done
 * when the broker has seen it) of all channels that amqplib has made or makes in this process.
 */
export async function observeChannels(amqpUrl: string, observer: StepObserver): Promise<void> {
  // amqplib does not export its classes; a channel leads to them.
  const connection = await connect(amqpUrl);
  const confirming = Object.getPrototypeOf(await connection.createConfirmChannel()) as { publish: Publish };
  const plain = Object.getPrototypeOf(await connection.createChannel()) as ChannelMethods;
  await connection.close();

  const { publish } = confirming;
  confirming.publish = function observed(this: unknown, exchange, routingKey, content, options, callback) {
    const step = exchange === '' ? 'reply.publish' : exchange.endsWith('/dead') ? 'dead-letter.publish' : undefined;
    if (step === undefined) return publish.call(this, exchange, routingKey, content, options, callback);
    observer.before(step);
    return publish.call(this, exchange, routingKey, content, options, (error) => {
      if (error === null) observer.after(step);
      callback(error);
    });
  };
  for (const method of ['ack', 'nack'] as const) {
    const original = plain[method];
    plain[method] = function observed(this: ChannelMethods, message, ...rest) {
      observer.before(`request.${method}`);
      original.call(this, message, ...rest);
      // An acknowledgement has no answer; the answer to what follows it on the channel shows that it came.
      this.prefetch(1).then(
        () => observer.after(`request.${method}`),
        () => undefined,
      );
    };
  }
}
