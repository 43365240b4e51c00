import type { Options } from 'amqplib';
import type { MethodName } from '../src/contract/methods.ts';
import { DIRECT_REPLY_TO } from '../src/contract/names.ts';
import { type ClientCredentials, signRequest, type SigningInput } from '../src/contract/signature.ts';

/** A request that no agent may obey. */
export interface HostileRequest {
  readonly routingKey: string;
  readonly content: Buffer;
  readonly options: Options.Publish;
}

/** Whom and what the hostile requests are made from. */
export interface HostileParts {
  readonly audience: string;
  /** Holds no scope of `victim`. */
  readonly attacker: ClientCredentials;
  /** A namespace of another client. */
  readonly victim: string;
  /** RabbitMQ refuses any other `user_id`. */
  readonly userId: string;
}

/** Numbers from 0 up to 1 that depend on the seed alone (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const SIGNED_METHODS = ['claim-namespace', 'release-namespace', 'revoke-namespace'] as const;
const METHOD_NAMES: readonly string[] = [...SIGNED_METHODS, 'ping', 'get-namespace', 'list-namespaces'];

/** A header is a table in AMQP, so a client can send any type in it. */
type Header = Readonly<Record<string, unknown>>;

/**
 * Creates the generator of hostile requests. Each differs from a valid request in one to four parts. None is signed by a
 * client that holds the scope for it, so a reply of type `result` to a method that needs a signature is a forgery.
 */
export function createHostileRequests(random: () => number, parts: HostileParts): () => HostileRequest {
  const { attacker, audience, victim, userId } = parts;
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(values: readonly T[]): T => values[below(values.length)] as T;
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)));
  const text = (length: number): string =>
    Array.from({ length }, () => String.fromCodePoint(pick([below(128), below(0x500), 0x1f600 + below(50)]))).join('');

  const namespaces = [
    victim,
    `${victim}-2`,
    'taskcluster-',
    'taskcluster-auth',
    '../x',
    'a'.repeat(65),
    'TASKCLUSTER-X',
  ];
  const values: readonly (() => unknown)[] = [
    () => null,
    () => below(2 ** 31) - 2 ** 30,
    () => Number.MAX_VALUE,
    () => random() < 0.5,
    () => text(below(40)),
    () => 'x'.repeat(below(9000)),
    () => [],
    () => ({ __proto__: null, constructor: { prototype: { polluted: true } } }),
    () => new Date(Date.now() + below(1e12)).toISOString(),
  ];
  const fields = ['namespace', 'expires', 'contact', 'replyKey', 'until', 'limit', 'continuationToken', '__proto__'];

  const bodies: readonly (() => Buffer)[] = [
    () => bytes(below(200)),
    () => Buffer.alloc(0),
    () => Buffer.alloc(16 * 1024 + 1 + below(40_000), 0x20),
    () => Buffer.from('['.repeat(1 + below(15_000))),
    () => Buffer.from(`{"namespace":"${victim}","namespace":"taskcluster-x"}`),
    () => Buffer.from(`{"__proto__":{"namespace":"${victim}"}}`),
    () => json({ namespace: pick(namespaces) }),
    () => json({ namespace: victim, [pick(fields)]: pick(values)() }),
    () => json({ [pick(fields)]: pick(values)(), [pick(fields)]: pick(values)() }),
    () => json(pick(values)()),
  ];
  const replyAddresses: readonly (() => string | undefined)[] = [
    () => undefined,
    () => '',
    () => `queue/${victim}/q`,
    () => `amq.rabbitmq.reply-to.${text(20)}`,
    () => `amq.rabbitmq.reply-to.g1h2AA9yZXBseUA${bytes(30).toString('base64')}.${bytes(16).toString('base64')}==`,
    () => 'queue/pulse-agent/v1/requests',
    () => text(below(60)),
  ];
  const correlationIds: readonly (() => string | undefined)[] = [
    () => undefined,
    () => '',
    () => text(below(40)),
    () => 'c'.repeat(129 + below(120)),
  ];
  const headerValues: readonly (() => unknown)[] = [
    () => 'Hawk',
    () => `Hawk id="${text(10)}", ts="1", nonce="n", hash="h", mac="m"`,
    () => 'Hawk '.repeat(1000),
    () => bytes(60),
    () => below(1000),
    () => ({ nested: { deeper: [1, 'x', { y: true }] } }),
    () => ['authorization'],
    () => text(below(200)),
  ];
  const headerNames = [
    'authorization',
    'x-death',
    'x-first-death-queue',
    'x-match',
    'CC',
    'BCC',
    'x-delay',
    'Authorization',
  ];

  /** A signature that is valid, but for another client, another request or another time. */
  const almostValid = (input: Omit<SigningInput, 'credentials' | 'audience'>): Header => {
    const wrong: Partial<SigningInput> = pick<() => Partial<SigningInput>>([
      () => ({}),
      () => ({ audience: 'another-agent' }),
      () => ({ timestampSeconds: below(2 ** 31) }),
      () => ({ body: Buffer.from('{}') }),
      () => ({ method: pick(SIGNED_METHODS) }),
      () => ({ correlationId: 'another' }),
      () => ({ replyTo: `queue/${victim}/q` }),
      () => ({ credentials: { clientId: 'operator', accessToken: attacker.accessToken } }),
      () => ({ credentials: { ...attacker, authorizedScopes: [`pulse:namespace:${victim}`, '*'] } }),
    ])();
    try {
      const signed = signRequest({ audience, credentials: attacker, ...input, ...wrong });
      if (random() < 0.7) return { ...signed };
      const at = below(signed.authorization.length);
      return { authorization: `${signed.authorization.slice(0, at)}${text(1)}${signed.authorization.slice(at + 1)}` };
    } catch {
      return {};
    }
  };

  return () => {
    const method = pick(METHOD_NAMES);
    const routingKey =
      random() < 0.9 ? method : pick([text(20), '', `${method}.`, 'x'.repeat(255), '#', `queue/${victim}/q`]);
    const content = random() < 0.7 ? pick(bodies)() : json(method === 'ping' ? {} : { namespace: victim });
    const replyTo = random() < 0.8 ? DIRECT_REPLY_TO : pick(replyAddresses)();
    const correlationId = random() < 0.8 ? `hostile-${below(2 ** 31)}` : pick(correlationIds)();
    const signature =
      random() < 0.5
        ? almostValid({
            method: method as MethodName,
            body: content,
            replyTo: replyTo ?? '',
            correlationId: correlationId ?? '',
          })
        : {};
    const hostileHeaders: Record<string, unknown> = random() < 0.3 ? { [pick(headerNames)]: pick(headerValues)() } : {};
    // RabbitMQ refuses a CC or BCC that is not a list of text, and closes the channel.
    for (const name of ['CC', 'BCC']) if (name in hostileHeaders) hostileHeaders[name] = [`queue/${victim}/q`, text(5)];
    return {
      routingKey: shortText(routingKey),
      content,
      options: {
        ...(replyTo === undefined ? {} : { replyTo: shortText(replyTo) }),
        ...(correlationId === undefined ? {} : { correlationId: shortText(correlationId) }),
        ...(random() < 0.9 ? { contentType: 'application/json' } : { contentType: shortText(text(10)) }),
        ...(random() < 0.2 ? { userId } : {}),
        ...(random() < 0.1 ? { messageId: shortText(text(10)), type: 'result', appId: 'pulse-agent' } : {}),
        ...(random() < 0.1 ? { priority: below(256), persistent: random() < 0.5 } : {}),
        headers: { ...signature, ...hostileHeaders },
      },
    };
  };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** The text as far as it fits into a short string of AMQP, which has at most 255 bytes. */
function shortText(value: string): string {
  let fitting = value;
  while (Buffer.byteLength(fitting) > 255) fitting = fitting.slice(0, -1);
  return fitting;
}
