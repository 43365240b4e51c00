import type { EventView, StreamLine } from '../operator-api/schemas.ts';
import { countedText, countText, sizeText, spanText } from './page-formats.ts';

/** The types by which events can be filtered, as the contract lists them. */
export const PAGE_EVENT_TYPES: readonly string[] = [
  'namespace.claimed',
  'namespace.refused',
  'namespace.rotated',
  'namespace.expiring',
  'namespace.expired',
  'namespace.released',
  'namespace.revoked',
  'namespace.failing',
  'queue.warning',
  'queue.recovered',
  'queue.deleted',
  'queue.purged',
  'queue.left',
  'queue.idle',
  'queue.expired',
  'queue.exempted',
  'queue.exemption-ended',
  'notice.failed',
  'connection.closed',
  'account.repaired',
  'broker.alarm',
  'agent.started',
  'agent.stopped',
];

/** What the agent says of a stream: whether events may be missing, and whose they are. */
export type StreamNote = Extract<StreamLine, { readonly stream: string }>;

/** Reads a line of the stream; undefined: it says nothing, as a heartbeat does, or is cut. */
export function parseStreamLine(
  line: string,
): { readonly event: EventView } | { readonly note: StreamNote } | undefined {
  let value: Partial<Record<string, unknown>> | null;
  try {
    value = JSON.parse(line) as typeof value;
  } catch {
    return undefined;
  }
  // The agent checked it against its schema. Another program may have answered.
  if (typeof value?.['stream'] === 'string') return { note: value as StreamNote };
  const { event } = (value ?? {}) as { readonly event?: EventView };
  return typeof event?.id === 'string' && typeof event.data === 'object' ? { event } : undefined;
}

/** A text of the event's data, if it has one of this name. */
export function dataText({ data }: Pick<EventView, 'data'>, name: string): string | undefined {
  const value = data[name];
  return typeof value === 'string' ? value : undefined;
}

/** What happens to a stream, in words; undefined: nothing but events. */
export function describeStream(note: StreamNote | undefined): string | undefined {
  if (note === undefined) return undefined;
  const { gap, agents, reason } = note;
  const own =
    agents === 'own' ? `events of ${note.stream} only${reason === undefined ? '' : `: ${reason}`}` : undefined;
  const parts = [own, ...(gap ? ['events may be missing'] : [])].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join('; ');
}

/** The data of an event in words, without the namespace and the queue, which are shown beside it. */
export function describeEvent({ type, data }: Pick<EventView, 'type' | 'data'>): string {
  const { clientId, messages, bytes, reason, account, generation, work, error, queues, uptimeSeconds } = data;
  const amount = `${countText(numberOf(messages))} messages${bytes === undefined ? '' : `, ${sizeText(numberOf(bytes))}`}`;
  switch (type) {
    case 'namespace.claimed':
      return `${data.first === true ? 'first claimed' : 'claimed'} by ${textOf(clientId)}`;
    case 'namespace.refused':
      return `a claim of ${textOf(clientId)} was refused: RabbitMQ has ${reason === 'account' ? 'a user' : 'queues or exchanges'} of this name`;
    case 'namespace.rotated':
      return `${textOf(account)} is active, generation ${textOf(generation)}`;
    case 'namespace.expiring':
      return reason === 'released' ? 'it was released' : 'it will be deleted unless it is claimed again';
    case 'namespace.expired':
      return `deleted with ${countedText(numberOf(queues) ?? 0, 'queue')}: ${textOf(reason)}`;
    case 'namespace.released':
    case 'namespace.revoked':
      return `by ${textOf(clientId)}`;
    case 'namespace.failing':
      return `${textOf(work)} failed with ${textOf(error)}, ${countedText(numberOf(data.failures) ?? 1, 'time')}`;
    case 'queue.warning':
    case 'queue.recovered':
      return amount;
    case 'queue.deleted':
      return `deleted with ${amount}`;
    case 'queue.purged':
      return `purged of ${amount}`;
    case 'queue.left':
      return `left alone with ${amount}, by its rule`;
    case 'queue.idle':
      return `not used, with ${amount}`;
    case 'queue.expired':
      return `deleted unused, with ${amount}`;
    case 'queue.exempted':
      return 'exempt from deletion for a while';
    case 'queue.exemption-ended':
      return textOf(reason);
    case 'notice.failed':
      return `${textOf(data.notice)} was not delivered: ${textOf(error)}`;
    case 'connection.closed':
      return `of ${textOf(account)}: ${textOf(reason)}`;
    case 'account.repaired':
      return `${textOf(account)}: ${Array.isArray(data.repaired) ? data.repaired.map(String).join(', ') : ''}`;
    case 'broker.alarm':
      return `${textOf(data.alarm)} on ${textOf(data.node)} ${data.active === true ? 'is set' : 'was cleared'}`;
    case 'agent.started':
      return `version ${textOf(data.version)}`;
    case 'agent.stopped':
      return `after ${spanText((numberOf(uptimeSeconds) ?? 0) * 1000)}`;
    default:
      return Object.keys(data).length === 0 ? 'this agent does not know the type' : JSON.stringify(data);
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : 'unknown';
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
