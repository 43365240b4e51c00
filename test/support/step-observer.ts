import { connect } from 'amqplib';
import type { Management } from '../../src/broker/management/management.ts';
import type { Store } from '../../src/store/store.ts';

/** Right before a step is taken, or right after it is known to be done. */
export type Moment = 'before' | 'after';

/** Called at each step of an agent: a write to the store or the broker, a reply, an acknowledgement. */
export interface StepObserver {
  /**
   * @param step the part and its method, for example `namespaces.insert`
   * @param about the arguments of the call, as JSON; absent for replies and acknowledgements
   * @returns the label that {@link after} and {@link finished} get
   */
  before(step: string, about?: string): string | undefined;
  /** The step succeeded. */
  after(label: string | undefined): void;
  /** The call returned, or failed. */
  finished(label: string | undefined): void;
}

/** Wraps one call: makes it, skips it, or does something before or after it. */
export type Around = (step: string, call: () => Promise<unknown>, args: readonly unknown[]) => Promise<unknown>;

/** Calls that change nothing: a crash there shows no more than a crash at the write before. */
const READS = /^(get|list|visit|due|has|count)[A-Z]?|^(check|overview|whoAmI)$/;

/** Writes at times of their own, which nothing waits for. */
const UNRELATED = /^(audit|agents|secretSightings)\.|\.prune$/;

/** Wraps every call of a store, also those that are added to its port later. */
export function interceptStore(store: Store, around: Around): Store {
  return {
    kind: store.kind,
    storeId: store.storeId,
    namespaces: intercept('namespaces', store.namespaces, around),
    nonces: intercept('nonces', store.nonces, around),
    notices: intercept('notices', store.notices, around),
    audit: intercept('audit', store.audit, around),
    queueExemptions: intercept('queueExemptions', store.queueExemptions, around),
    secretSightings: intercept('secretSightings', store.secretSightings, around),
    queueAlerts: intercept('queueAlerts', store.queueAlerts, around),
    agents: intercept('agents', store.agents, around),
    check: () => store.check(),
    close: () => store.close(),
  };
}

/** Wraps every call of the management API. */
export function interceptManagement(management: Management, around: Around): Management {
  return intercept('management', management, around);
}

/** Calls the observer for every write that is part of some work. */
export function observeWrites(observer: StepObserver): Around {
  return async (step, call, args) => {
    if (READS.test(step.slice(step.indexOf('.') + 1)) || UNRELATED.test(step)) return await call();
    const label = observer.before(step, JSON.stringify(args));
    try {
      const result = await call();
      observer.after(label);
      return result;
    } finally {
      observer.finished(label);
    }
  };
}

function intercept<Part extends object>(name: string, part: Part, around: Around): Part {
  return new Proxy(part, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function' || typeof property !== 'string') return member;
      if (property === 'close') return member.bind(target) as unknown;
      return (...args: unknown[]) =>
        around(`${name}.${property}`, async () => (await Reflect.apply(member, target, args)) as unknown, args);
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
 * Observes replies (`reply.publish`, done when the broker has confirmed it) and acknowledgements (`request.ack`, done
 * when the broker has seen it) on all amqplib channels of this process.
 */
export async function observeChannels(amqpUrl: string, observer: StepObserver): Promise<void> {
  // amqplib does not export its classes; the prototypes of two channels are the way to them.
  const connection = await connect(amqpUrl);
  const confirming = Object.getPrototypeOf(await connection.createConfirmChannel()) as { publish: Publish };
  const plain = Object.getPrototypeOf(await connection.createChannel()) as ChannelMethods;
  await connection.close();

  const { publish } = confirming;
  confirming.publish = function observed(this: unknown, exchange, routingKey, content, options, callback) {
    const step = exchange === '' ? 'reply.publish' : exchange.endsWith('/dead') ? 'dead-letter.publish' : undefined;
    if (step === undefined) return publish.call(this, exchange, routingKey, content, options, callback);
    const label = observer.before(step);
    return publish.call(this, exchange, routingKey, content, options, (error) => {
      if (error === null) observer.after(label);
      callback(error);
    });
  };
  for (const method of ['ack', 'nack'] as const) {
    const original = plain[method];
    plain[method] = function observed(this: ChannelMethods, message, ...rest) {
      const label = observer.before(`request.${method}`);
      original.call(this, message, ...rest);
      // An acknowledgement has no answer: the answer to the next call on the channel shows that it has arrived.
      this.prefetch(1).then(
        () => observer.after(label),
        () => undefined,
      );
    };
  }
}
