import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { EventView } from '../operator-api/schemas.ts';
import { describeStream, PAGE_EVENT_TYPES } from './event-texts.ts';
import { EventList } from './event-list.tsx';
import { filterEvents } from './filter-events.ts';
import { countedText } from './page-formats.ts';
import { type Route, routeHref } from './page-routes.ts';
import { ToneShape } from './state-mark.tsx';
import { useEvents } from './use-events.ts';
import { showRoute } from './use-route.ts';
import { SearchField, SelectField } from './view-controls.tsx';

/** What happens now, on all agents. */
export function EventsView({ route: { query } }: { readonly route: Route }): JSX.Element {
  const { buffer, isLive, refusal, note } = useEvents();
  const said = describeStream(note);
  const [paused, setPaused] = useState<typeof buffer>();
  const shown = paused ?? buffer;
  const { type = '', search = '' } = query;
  const events: readonly EventView[] = useMemo(
    () => filterEvents(shown.events, { type, search }),
    [shown, type, search],
  );
  const filter = (change: Record<string, string>): void =>
    showRoute(routeHref('events', { query: { ...query, ...change } }), { replace: true });
  const missed = paused === undefined ? 0 : buffer.arrived - paused.arrived;
  return (
    <>
      <div class="controls">
        <SelectField
          label="Type of event"
          value={type}
          all="all types"
          options={PAGE_EVENT_TYPES}
          onSelect={(value) => filter({ type: value })}
        />
        <SearchField label="Namespace or queue" value={search} onSearch={(value) => filter({ search: value })} />
        <button
          type="button"
          class="toggle"
          aria-pressed={paused !== undefined}
          onClick={() => setPaused(paused === undefined ? buffer : undefined)}
        >
          {paused === undefined ? 'Pause' : missed === 0 ? 'Resume' : `Resume, ${countedText(missed, 'event')} more`}
        </button>
        <span class="live" role="status">
          <ToneShape tone={isLive ? 'good' : 'idle'} shape={isLive ? 'disc' : 'ring'} />
          {refusal ?? (isLive ? (paused === undefined ? 'live' : 'paused') : 'connecting')}
        </span>
        {said !== undefined && <span class="stream-note">{said}</span>}
        <span class="controls-end">{countedText(events.length, 'event')}</span>
      </div>
      <EventList
        label="Live events, the newest first"
        events={events}
        arrived={type === '' && search === '' ? shown.arrived : 0}
        empty={shown.events.length === 0 ? 'No event has arrived yet.' : 'No event matches.'}
      />
    </>
  );
}
