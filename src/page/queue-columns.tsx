import type { QueueRow } from '../operator-api/schemas.ts';
import type { TableColumn } from './data-table.tsx';
import { Lasting } from './instant.tsx';
import { ThresholdCell } from './next-threshold.tsx';
import { countText, rateText, sizeText } from './page-formats.ts';
import { QueueLink } from './page-parts.tsx';
import { trendTone } from './threshold-texts.ts';
import { StateMark } from './state-mark.tsx';
import { TrendLine } from './trend-line.tsx';

/** The columns of a list of queues. */
export function queueColumns(trendAt: readonly string[]): TableColumn<QueueRow>[] {
  return [
    {
      key: 'queue',
      title: 'Queue',
      kind: 'name',
      sortable: { sort: 'queue', first: 'asc' },
      cell: ({ queue, namespace }) => <QueueLink queue={queue} namespace={namespace} />,
    },
    {
      key: 'state',
      title: 'State',
      sortable: { sort: 'state', first: 'asc' },
      cell: ({ state, warnedSince }) => (
        <>
          <StateMark state={state} />
          {warnedSince !== undefined && (
            <small>
              {' '}
              <Lasting since={warnedSince} />
            </small>
          )}
        </>
      ),
    },
    {
      key: 'messages',
      title: 'Messages',
      kind: 'number',
      sortable: { sort: 'messages', first: 'desc' },
      cell: ({ messages, bytes }) => (
        <span title={bytes === undefined ? undefined : sizeText(bytes)}>{countText(messages)}</span>
      ),
    },
    {
      key: 'ready',
      title: 'Ready',
      kind: 'number',
      sortable: { sort: 'ready', first: 'desc' },
      cell: ({ ready }) => countText(ready),
    },
    {
      key: 'unacknowledged',
      title: 'Unacked',
      kind: 'number',
      sortable: { sort: 'unacknowledged', first: 'desc' },
      cell: ({ unacknowledged }) => countText(unacknowledged),
    },
    {
      key: 'consumers',
      title: 'Consumers',
      kind: 'number',
      sortable: { sort: 'consumers', first: 'desc' },
      cell: ({ consumers }) => countText(consumers),
    },
    {
      key: 'trend',
      title: 'Trend',
      kind: 'chart',
      cell: (row) => <TrendLine amounts={row.trend} instants={trendAt} tone={trendTone(row)} />,
    },
    {
      key: 'growth',
      title: 'Per min',
      kind: 'number',
      sortable: { sort: 'growth', first: 'desc' },
      cell: ({ messagesPerMinute }) => (
        <span class={(messagesPerMinute ?? 0) > 0 ? 'grows' : undefined}>{rateText(messagesPerMinute)}</span>
      ),
    },
    {
      key: 'next',
      title: 'Next threshold',
      sortable: { sort: 'next', first: 'asc' },
      cell: (row) => <ThresholdCell row={row} />,
    },
  ];
}
