import type { OutgoingMessage } from './outbox.ts';
import { type Delivery, headersOf } from './request.ts';
import { asShortText } from './short-text.ts';

/** The longest text of a stranger's headers that a copy keeps, in characters. */
const MAX_HEADERS_LENGTH = 8192;

/** The longest body that a copy keeps, in bytes; the rest tells an operator nothing more. */
const MAX_BODY_BYTES = 64 * 1024;

/**
 * The copy of a request that goes to the dead letters, with the reason. Its signature stays behind, because somebody
 * could send it again; its other headers become text, because some (`CC`, `BCC`, `x-death`) mean something to the broker
 * and to libraries.
 */
export function deadLetterCopy(deadExchange: string, delivery: Delivery, reason: string): OutgoingMessage {
  const { properties, content } = delivery;
  return {
    exchange: deadExchange,
    routingKey: asShortText(delivery.routingKey),
    content: content.subarray(0, MAX_BODY_BYTES),
    options: {
      persistent: true,
      ...textOf('contentType', properties.contentType),
      ...textOf('correlationId', properties.correlationId),
      headers: {
        'x-pulse-agent-reason': reason,
        'x-pulse-agent-reply-to': asText(properties.replyTo),
        'x-pulse-agent-user-id': asText(properties.userId),
        'x-pulse-agent-headers': headersAsText(headersOf(delivery)),
      },
    },
  };
}

function textOf<K extends string>(name: K, value: unknown): { [name in K]?: string } {
  return (typeof value === 'string' ? { [name]: asShortText(value) } : {}) as { [name in K]?: string };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function headersAsText(headers: Readonly<Record<string, unknown>>): string {
  const kept = Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization');
  try {
    return JSON.stringify(Object.fromEntries(kept), numbersAsText).slice(0, MAX_HEADERS_LENGTH);
  } catch {
    // Tables in tables, deeper than the stack.
    return 'the headers cannot be written as JSON';
  }
}

function numbersAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
