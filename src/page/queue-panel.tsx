import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { QueueHistoryAnswer } from '../operator-api/schemas.ts';
import { DepthChart } from './depth-chart.tsx';
import { Distance } from './instant.tsx';
import { ThresholdCell } from './next-threshold.tsx';
import { countText, rateText, sizeText } from './page-formats.ts';
import { Awaited, RefusalNote, Facts, Panel } from './page-parts.tsx';
import { StateMark } from './state-mark.tsx';
import { useAnswer } from './use-answer.ts';

/** One queue: its depth over the last hours, and what happens to it next. */
export function QueuePanel({ queue }: { readonly queue: string }): JSX.Element {
  const { data, isPrevious, failure } = useAnswer<QueueHistoryAnswer>('queue-history', { queue }, 5000);
  const first = useRef(queue);
  useEffect(() => {
    // Another queue was chosen in the table below.
    if (first.current !== queue) document.querySelector('.queue-panel')?.scrollIntoView({ block: 'nearest' });
    first.current = queue;
  }, [queue]);
  if (data === undefined || isPrevious) {
    return (
      <Panel title="Depth of the queue" class="wide queue-panel">
        <Awaited failure={failure} />
      </Panel>
    );
  }
  const { state, messages, ready, unacknowledged, bytes, consumers, messagesPerMinute, warnedSince, rule } = data;
  return (
    <Panel title="Depth of the queue" class="wide queue-panel" aside={<StateMark state={state} />}>
      <RefusalNote failure={failure} />
      <p class="queue-name">
        <bdi class="given-name">{queue}</bdi>
      </p>
      <div class="queue-split">
        <DepthChart history={data} />
        <Facts
          facts={[
            [
              'Messages',
              <>
                {countText(messages)} <small>{sizeText(bytes)}</small>
              </>,
            ],
            ['Ready, unacked', `${countText(ready)}, ${countText(unacknowledged)}`],
            ['Per minute', rateText(messagesPerMinute)],
            ['Consumers', countText(consumers)],
            ['Next', <ThresholdCell row={data} />],
            ...(rule === 'default' ? [] : [['Rule', <code>{rule}</code>] as const]),
            ...(warnedSince === undefined ? [] : [['Warned', <Distance at={warnedSince} />] as const]),
          ]}
        />
      </div>
      <details>
        <summary>Depth as a table</summary>
        <DepthTable points={data.points} />
      </details>
    </Panel>
  );
}

/** The newest first; every hour's survey would be thousands of rows. */
const MAX_ROWS = 60;

function DepthTable({ points }: Pick<QueueHistoryAnswer, 'points'>): JSX.Element {
  const every = Math.ceil(points.length / MAX_ROWS);
  const shown = points.filter((_, index) => (points.length - 1 - index) % every === 0).toReversed();
  return (
    <table class="depth-table">
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Messages</th>
          <th scope="col">Ready</th>
          <th scope="col">Unacked</th>
        </tr>
      </thead>
      <tbody>
        {shown.map(([at, all, ready, unacknowledged]) => (
          <tr key={at}>
            <th scope="row">
              <Distance at={at} />
            </th>
            <td>{countText(all)}</td>
            <td>{countText(ready)}</td>
            <td>{countText(unacknowledged)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
