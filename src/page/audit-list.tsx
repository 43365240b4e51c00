import type { JSX } from 'preact';
import type { AuditView as AuditEntry } from '../operator-api/schemas.ts';
import { describeDetails } from './audit-texts.ts';
import { agentNowMs } from './page-clock.ts';
import { Instant } from './instant.tsx';
import { Name, NamespaceLink, QueueLink, Said } from './page-parts.tsx';
import { ToneShape } from './state-mark.tsx';
import { isSuccess, toneOfHappening } from './state-tones.ts';

interface AuditListProps {
  readonly records: readonly AuditEntry[];
  readonly empty: string;
  /** Whether all records are of one namespace, which then need not be named. */
  readonly isOfOneNamespace?: boolean;
}

/** Decisions, the newest first: when, what, about what, by whom and why. */
export function AuditList({ records, empty, isOfOneNamespace = false }: AuditListProps): JSX.Element {
  if (records.length === 0) return <p class="empty">{empty}</p>;
  return (
    <ol class="audit">
      {records.map((record) => (
        <AuditRow key={record.id} record={record} isOfOneNamespace={isOfOneNamespace} />
      ))}
    </ol>
  );
}

interface AuditRowProps {
  readonly record: AuditEntry;
  readonly isOfOneNamespace: boolean;
}

function AuditRow({ record, isOfOneNamespace }: AuditRowProps): JSX.Element {
  const { at, action, by, who, reason, outcome, details } = record;
  const tone = toneOfHappening(action, outcome);
  const more = describeDetails(details, agentNowMs());
  return (
    <li>
      <Instant at={at} />
      <span class="audit-action">
        <ToneShape tone={tone} shape={tone === 'bad' ? 'square' : tone === 'warn' ? 'triangle' : 'disc'} />
        {action}
      </span>
      <span class="audit-text">
        <AuditSubject record={record} isOfOneNamespace={isOfOneNamespace} /> <Said>{reason}</Said>
        {!isSuccess(outcome) && <strong class="audit-outcome"> {outcome}</strong>}
        <small>
          {' '}
          by {by} <Name>{who}</Name>
          {more !== '' && ` · ${more}`}
        </small>
      </span>
    </li>
  );
}

/** What was acted on: what is in a namespace has its name, which then need not be said twice. */
function AuditSubject({ record, isOfOneNamespace }: AuditRowProps): JSX.Element {
  const { namespace, subject } = record;
  if (namespace === undefined) return subject === undefined ? <></> : <Name>{subject}</Name>;
  if (subject === undefined || subject === namespace) {
    return isOfOneNamespace ? <></> : <NamespaceLink name={namespace} />;
  }
  if (subject.startsWith('queue/')) return <QueueLink queue={subject} namespace={namespace} />;
  if (isOfOneNamespace) return <Name>{subject}</Name>;
  return <NamespaceLink name={namespace} label={subject.includes(namespace) ? subject : `${namespace} ${subject}`} />;
}
