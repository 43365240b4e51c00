import type { JSX } from 'preact';
import type { NamespaceAnswer } from '../operator-api/schemas.ts';
import { Distance, Instant, InstantWithDistance } from './instant.tsx';
import { countedText, countText } from './page-formats.ts';
import { Facts, Name, Panel, Said } from './page-parts.tsx';
import { ToneShape } from './state-mark.tsx';

interface KnownNamespace {
  readonly known: NamespaceAnswer;
}

/** What fails or waits, and what an operator exempted. */
export function NamespaceTrouble({ known }: KnownNamespace): JSX.Element | null {
  const { blockedBy, refusedUntil, failures, exemptions } = known;
  const lines = [
    ...(blockedBy === undefined
      ? []
      : [
          <>
            Its deletion waits: <Said>{blockedBy}</Said>.
          </>,
        ]),
    ...(refusedUntil === undefined
      ? []
      : [
          <>
            It was revoked, and claims are refused until <Instant at={refusedUntil} />.
          </>,
        ]),
    ...failures.map(({ work, failures: times, error, retryAt, instance }) => (
      <>
        Its {work} failed {countedText(times, 'time')} on <Name>{instance}</Name> with {error}; it is tried again{' '}
        <Distance at={retryAt} />.
      </>
    )),
    ...exemptions.map(({ queue, until, reason }) => (
      <>
        <Name>{queue}</Name> is exempt from deletion until <Instant at={until} />
        {reason !== undefined && (
          <>
            : <Name>{reason}</Name>
          </>
        )}
        .
      </>
    )),
  ];
  if (lines.length === 0) return null;
  return (
    <ul class="wide findings">
      {lines.map((line, index) => (
        <li key={index} class="degraded">
          <ToneShape tone="warn" shape="triangle" />
          <span>{line}</span>
        </li>
      ))}
    </ul>
  );
}

/** Who holds it, until when, and why its credentials changed last. */
export function RecordPanel({ known }: KnownNamespace): JSX.Element {
  const { holder, created, lastClaim, reclaimBy, expires, nextRotation, generation, accounts, lastRotation, revoked } =
    known;
  return (
    <Panel title="Record">
      <Facts
        facts={[
          ['Holder', <Name>{holder}</Name>],
          ['Claim again by', <InstantWithDistance at={reclaimBy} />],
          ['Expires', <InstantWithDistance at={expires} />],
          ['Next rotation', <InstantWithDistance at={nextRotation} />],
          [
            'Last rotation',
            lastRotation === undefined ? (
              'none in the audit'
            ) : (
              <>
                <InstantWithDistance at={lastRotation.at} />: {lastRotation.reason}{' '}
                <small>
                  {lastRotation.action} by {lastRotation.by} <Name>{lastRotation.who}</Name>
                </small>
              </>
            ),
          ],
          ['Generation', countText(generation)],
          ['First claimed', <InstantWithDistance at={created} />],
          ...(lastClaim === undefined ? [] : [['Last claim', <InstantWithDistance at={lastClaim} />] as const]),
          ...(revoked === undefined ? [] : [['Revoked', <InstantWithDistance at={revoked} />] as const]),
          ['Accounts', <Accounts accounts={accounts} />],
        ]}
      />
    </Panel>
  );
}

function Accounts({ accounts }: Pick<NamespaceAnswer, 'accounts'>): JSX.Element {
  return (
    <ul class="accounts">
      {accounts.map(({ account, isActive, generation, promisedUntil }) => (
        <li key={account}>
          <ToneShape tone={isActive ? 'good' : 'idle'} shape={isActive ? 'disc' : 'ring'} />
          <Name>{account}</Name>{' '}
          <small>
            {isActive ? 'active' : 'standby'},{' '}
            {generation === 0 ? 'not created yet' : `generation ${countText(generation)}`}
            {promisedUntil !== undefined && (
              <>
                , promised until <Instant at={promisedUntil} style="minute" />
              </>
            )}
          </small>
        </li>
      ))}
    </ul>
  );
}

/** The open connections of its accounts, the oldest first. */
export function NamespaceConnections({ known: { connections, openConnections } }: KnownNamespace): JSX.Element {
  const count = connections ?? openConnections?.length;
  return (
    <Panel title="Connections" aside={count === undefined ? 'unknown' : countedText(count, 'connection')}>
      {openConnections === undefined || openConnections.length === 0 ? (
        <p class="empty">{openConnections === undefined ? 'RabbitMQ did not say.' : 'No client is connected.'}</p>
      ) : (
        <div class="connections" role="group" aria-label="Open connections" tabIndex={0}>
          <ul>
            {openConnections.map(({ account, since }, index) => (
              <li key={index}>
                <Name>{account}</Name>{' '}
                <small>
                  {since === undefined ? (
                    'opened at an unknown time'
                  ) : (
                    <>
                      opened <Distance at={since} />
                    </>
                  )}
                </small>
              </li>
            ))}
          </ul>
        </div>
      )}
    </Panel>
  );
}
