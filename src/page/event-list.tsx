import type { JSX } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { EventView } from '../operator-api/schemas.ts';
import { visibleRows } from './event-buffer.ts';
import { dataText, describeEvent } from './event-texts.ts';
import { Instant } from './instant.tsx';
import { Name, NamespaceLink, QueueLink } from './page-parts.tsx';
import { ToneShape } from './state-mark.tsx';
import { toneOfHappening } from './state-tones.ts';

/** In px, as `.event-row` in the style says; on a phone each row has three lines. */
const ROW_HEIGHT = 34;
const NARROW_ROW_HEIGHT = 80;
const NARROW = '(max-width: 700px)';

interface EventListProps {
  readonly label: string;
  readonly events: readonly EventView[];
  /** How many arrived: the list keeps its place when rows come in above. */
  readonly arrived: number;
  readonly empty: string;
  /** Whether all events are of one namespace, which then need not be named. */
  readonly isOfOneNamespace?: boolean;
}

/** Events, the newest first. Only the rows in sight are drawn. */
export function EventList({ label, events, arrived, empty, isOfOneNamespace = false }: EventListProps): JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  const shown = useRef(arrived);
  const [place, setPlace] = useState({ top: 0, height: 600 });
  const rowHeight = matchMedia(NARROW).matches ? NARROW_ROW_HEIGHT : ROW_HEIGHT;
  useLayoutEffect(() => {
    const element = frame.current;
    const added = arrived - shown.current;
    shown.current = arrived;
    // Who reads further down stays with the row that is read.
    if (element !== null && added > 0 && element.scrollTop > rowHeight) element.scrollTop += added * rowHeight;
  }, [arrived]);
  useLayoutEffect(() => {
    if (frame.current !== null) setPlace({ top: frame.current.scrollTop, height: frame.current.clientHeight });
  }, []);
  const { from, until } = visibleRows(place.top, place.height, rowHeight, events.length);
  return (
    <div
      class="event-frame"
      ref={frame}
      role="group"
      aria-label={label}
      tabIndex={0}
      onScroll={({ currentTarget: { scrollTop, clientHeight } }) => setPlace({ top: scrollTop, height: clientHeight })}
    >
      {events.length === 0 && <p class="empty">{empty}</p>}
      <ol class="events" style={{ height: `${events.length * rowHeight}px` }}>
        {events.slice(from, until).map((event, index) => (
          <EventRow
            key={event.id}
            event={event}
            top={(from + index) * rowHeight}
            place={from + index + 1}
            of={events.length}
            isOfOneNamespace={isOfOneNamespace}
          />
        ))}
      </ol>
    </div>
  );
}

interface EventRowProps {
  readonly event: EventView;
  readonly top: number;
  readonly place: number;
  readonly of: number;
  readonly isOfOneNamespace: boolean;
}

function EventRow({ event, top, place, of, isOfOneNamespace }: EventRowProps): JSX.Element {
  const tone = toneOfHappening(event.type);
  return (
    <li class="event-row" style={{ transform: `translateY(${top}px)` }} aria-posinset={place} aria-setsize={of}>
      <Instant at={event.time} />
      <span class="event-type">
        <ToneShape tone={tone} shape={tone === 'bad' ? 'square' : tone === 'warn' ? 'triangle' : 'disc'} />
        {event.type}
      </span>
      {(!isOfOneNamespace || dataText(event, 'queue') !== undefined) && (
        <span class="event-about">
          <EventSubject event={event} />
        </span>
      )}
      <bdi class="event-text" title={`from ${event.instance}`}>
        {describeEvent(event)}
      </bdi>
    </li>
  );
}

function EventSubject({ event }: { readonly event: EventView }): JSX.Element {
  const { namespace, subject } = event;
  const queue = dataText(event, 'queue');
  if (namespace === undefined) return <Name>{subject}</Name>;
  return queue === undefined ? <NamespaceLink name={namespace} /> : <QueueLink queue={queue} namespace={namespace} />;
}
