import type { ComponentChildren, JSX } from 'preact';
import type { OverviewAnswer } from '../operator-api/schemas.ts';
import { Distance, Due } from './instant.tsx';
import { countText, secondsText, shortCount, UNKNOWN } from './page-formats.ts';
import { routeHref } from './page-routes.ts';
import { StateMark } from './state-mark.tsx';

interface TileProps {
  readonly label: string;
  readonly amount: ComponentChildren;
  readonly note?: ComponentChildren;
  readonly href?: string;
  /** Shown in a colour where it is not 0. */
  readonly tone?: 'warn' | 'bad' | undefined;
}

function Tile({ label, amount, note, href, tone }: TileProps): JSX.Element {
  const inside = (
    <>
      <span class="tile-label">{label}</span>
      <span class="tile-amount">{amount}</span>
      <span class="tile-note">{note}</span>
    </>
  );
  const name = `tile ${tone ?? ''}`;
  return (
    <li>
      {href === undefined ? (
        <div class={name}>{inside}</div>
      ) : (
        <a class={name} href={href}>
          {inside}
        </a>
      )}
    </li>
  );
}

/** The amounts by which one sees whether all is as usual. */
export function NowTiles({ overview }: { readonly overview: OverviewAnswer }): JSX.Element {
  const { namespaces, queues, noticesWaiting, deadLetters } = overview;
  return (
    <ul class="tiles">
      <Tile
        label="Namespaces"
        amount={countText(namespaces?.active)}
        note={`active${namespaces !== undefined && namespaces.provisioning > 0 ? `, ${countText(namespaces.provisioning)} provisioning` : ''}`}
        href={routeHref('namespaces')}
      />
      <Tile
        label="Expiring"
        amount={countText(namespaces?.expiring)}
        note="being deleted"
        href={routeHref('namespaces', { query: { state: 'expiring' } })}
        tone={positive(namespaces?.expiring, 'warn')}
      />
      <Tile
        label="Queues"
        amount={countText(queues?.total)}
        note={queues === undefined ? '' : `${shortCount(queues.messages)} messages`}
        href={routeHref('queues')}
      />
      <Tile
        label="Warned"
        amount={countText(queues?.warned)}
        note={queues === undefined ? '' : `queues, ${countText(queues.deleting)} deleting`}
        href={routeHref('queues', { query: { sort: 'next', state: 'alert' } })}
        tone={positive(queues?.deleting, 'bad') ?? positive(queues?.warned, 'warn')}
      />
      <Tile label="Notices" amount={countText(noticesWaiting)} note="waiting to be sent" />
      <Tile
        label="Dead letters"
        amount={countText(deadLetters)}
        note="requests unanswered"
        tone={positive(deadLetters, 'warn')}
      />
      <SurveyTile overview={overview} />
    </ul>
  );
}

/** Whether the last survey of the queues worked. */
function SurveyTile({ overview: { survey } }: { readonly overview: OverviewAnswer }): JSX.Element {
  if (survey === undefined) return <Tile label="Survey" amount={UNKNOWN} note="none is known" />;
  const { outcome, isLate, seconds, error, succeeded, failed, by, dueBy } = survey;
  const state = isLate ? 'late' : (outcome ?? 'unknown');
  const at = outcome === 'failed' ? failed : succeeded;
  return (
    <Tile
      label="Last survey of the queues"
      amount={
        <span class="survey">
          <StateMark state={state} />{' '}
          {outcome === 'failed' ? error : seconds === undefined ? '' : `in ${secondsText(seconds)}`}
        </span>
      }
      note={
        <>
          <Distance at={at} />
          {by !== undefined && (
            <>
              {' '}
              by <bdi>{by}</bdi>
            </>
          )}
          {dueBy !== undefined && (
            <>
              , next <Due at={dueBy} />
            </>
          )}
        </>
      }
      href={routeHref('health')}
      tone={outcome === 'failed' ? 'bad' : isLate ? 'warn' : undefined}
    />
  );
}

function positive<T extends 'warn' | 'bad'>(amount: number | undefined, tone: T): T | undefined {
  return amount !== undefined && amount > 0 ? tone : undefined;
}
