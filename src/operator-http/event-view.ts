import * as z from 'zod';
import { EVENT_TYPES, isEventType } from '../contract/event-types.ts';
import { instantText } from '../contract/fields.ts';
import { NAMESPACE_PATTERN } from '../contract/names.ts';
import type { EventView } from '../operator-api/event-schemas.ts';
import { matchPath } from './request-parameters.ts';

/** Larger messages are no agent event. In bytes. */
const MAX_EVENT_BYTES = 16 * 1024;

const envelope = z.object({
  id: z.string().min(1).max(200),
  source: z.string().max(500),
  type: z.string().max(100),
  subject: z.string().max(300),
  time: instantText('When it happened.'),
  data: z.record(z.string(), z.json()),
});

/**
 * What the page shows of a message of the events exchange. An agent of a newer version may have published it: of a type that is
 * unknown here, or of other fields, only what names the event is shown.
 *
 * @returns undefined: it is no agent event
 */
export function readEventView(content: Buffer | string): EventView | undefined {
  if (content.length > MAX_EVENT_BYTES) return undefined;
  const { data: event } = envelope.safeParse(parsed(content));
  if (event === undefined) return undefined;
  const { id, source, type, subject, time } = event;
  const known = isEventType(type) ? EVENT_TYPES[type].data.safeParse(event.data) : undefined;
  const { namespace } = event.data;
  return {
    id,
    time,
    type,
    subject,
    ...(typeof namespace === 'string' && NAMESPACE_PATTERN.test(namespace) ? { namespace } : {}),
    instance: matchPath('/:instance', source.replace(/^\/[^/]*/, ''))?.['instance'] ?? '',
    data: known?.success === true ? known.data : {},
  };
}

function parsed(content: Buffer | string): unknown {
  try {
    return JSON.parse(content.toString());
  } catch {
    return undefined;
  }
}
