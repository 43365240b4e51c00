import type { EventView } from '../operator-api/schemas.ts';
import { dataText } from './event-texts.ts';

/** The events of a type and with a text in the name of the namespace or of the queue; empty: all. */
export function filterEvents(
  events: readonly EventView[],
  { type, search }: { readonly type: string; readonly search: string },
): readonly EventView[] {
  if (type === '' && search === '') return events;
  const wanted = search.toLowerCase();
  return events.filter(
    (event) =>
      (type === '' || event.type === type) &&
      (wanted === '' ||
        [event.namespace, dataText(event, 'queue')].some((name) => name?.toLowerCase().includes(wanted) === true)),
  );
}
