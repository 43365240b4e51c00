import type { JSX } from 'preact';
import type { PlanStep } from '../operator-api/schemas.ts';
import { Due, Instant } from './instant.tsx';
import { countedText } from './page-formats.ts';
import { NamespaceLink, QueueLink, Said } from './page-parts.tsx';
import { stepText } from './plan-steps.ts';
import { ToneShape } from './state-mark.tsx';

interface PlanListProps {
  readonly steps: readonly PlanStep[];
  /** How many are shown until the viewer opens the others. */
  readonly most: number;
  readonly empty: string;
}

/** What agents will do, in the order of time. */
export function PlanList({ steps, most, empty }: PlanListProps): JSX.Element {
  if (steps.length === 0) return <p class="empty">{empty}</p>;
  return (
    <>
      <PlanSteps steps={steps.slice(0, most)} />
      {steps.length > most && (
        <details>
          <summary class="more-steps">and {countedText(steps.length - most, 'later step')}</summary>
          <PlanSteps steps={steps.slice(most)} />
        </details>
      )}
    </>
  );
}

function PlanSteps({ steps }: Pick<PlanListProps, 'steps'>): JSX.Element {
  return (
    <ol class="plan">
      {steps.map((step) => (
        <PlanRow key={`${step.action} ${step.queue ?? step.namespace} ${step.at}`} step={step} />
      ))}
    </ol>
  );
}

function PlanRow({ step }: { readonly step: PlanStep }): JSX.Element {
  const { action, namespace, queue, queues, count, last, why, isForecast } = step;
  const { verb, tone, shape } = stepText(action);
  return (
    <li>
      <span class="plan-when">
        <Instant at={step.at} style="minute" />
        <small>
          <Due at={step.at} />
        </small>
      </span>
      <span class="plan-what">
        <ToneShape tone={tone} shape={shape} />
        <span>
          {verb}{' '}
          {queue === undefined ? <NamespaceLink name={namespace} /> : <QueueLink queue={queue} namespace={namespace} />}
          {queues !== undefined && queues > 0 && `, ${countedText(queues, 'queue')}`}
          {count > 1 && (
            <span class="more">
              {' '}
              and {countedText(count - 1, 'more', 'more')}
              {last !== undefined && (
                <>
                  {' '}
                  until <Instant at={last.at} style="minute" />
                </>
              )}
            </span>
          )}
          <small class="why">
            <Said>{why}</Said>
            {isForecast && ', at its present rate'}
          </small>
        </span>
      </span>
    </li>
  );
}
