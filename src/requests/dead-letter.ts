import type { OutgoingMessage } from './outgoing.ts';
import { type Delivery, headersOf } from './request.ts';
import { toShortString } from './short-string.ts';

/** How much of a request's headers the copy keeps, in characters. */
const MAX_HEADERS_LENGTH = 8192;

/**
 * The copy of a request for the dead letters, with the reason. It is copied without its signature, which could be
 * replayed, and with its other headers as text, because some (`CC`, `BCC`, `x-death`) have an effect on the broker or in
 * libraries. A body that is larger than the contract allows is left out.
 */
export function deadLetterCopy(deadExchange: string, delivery: Delivery, reason: string): OutgoingMessage {
  const { properties, content, bodyBytes } = delivery;
  return {
    exchange: deadExchange,
    routingKey: toShortString(delivery.routingKey),
    content,
    options: {
      persistent: true,
      ...textOf('contentType', properties.contentType),
      ...textOf('correlationId', properties.correlationId),
      headers: {
        'x-pulse-agent-reason': reason,
        'x-pulse-agent-reply-to': asText(properties.replyTo),
        'x-pulse-agent-user-id': asText(properties.userId),
        'x-pulse-agent-headers': headersAsText(headersOf(delivery)),
        ...(bodyBytes === content.length ? {} : { 'x-pulse-agent-body-bytes': bodyBytes }),
      },
    },
  };
}

function textOf<K extends string>(name: K, value: unknown): { [name in K]?: string } {
  return (typeof value === 'string' ? { [name]: toShortString(value) } : {}) as { [name in K]?: string };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function headersAsText(headers: Readonly<Record<string, unknown>>): string {
  const kept = Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization');
  try {
    return JSON.stringify(Object.fromEntries(kept), numbersAsText).slice(0, MAX_HEADERS_LENGTH);
  } catch {
    // Nested deeper than the stack.
    return 'the headers cannot be written as JSON';
  }
}

function numbersAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
