import type { JSX } from 'preact';
import { agentLink } from './agent-link.ts';
import { Instant } from './instant.tsx';
import { useObservable } from './observable-value.ts';
import { ToneShape } from './state-mark.tsx';

/** Says that the agent does not answer, and of when the data is that is shown. */
export function LinkNotice(): JSX.Element {
  const { is, answeredMs, sinceMs, reason } = useObservable(agentLink);
  return (
    <div class="link-notice" role="status">
      {is === 'unreachable' && (
        <p>
          <ToneShape tone="bad" shape="square" />
          <span>
            <strong>The agent is not reachable</strong> since <Instant at={new Date(sinceMs).toISOString()} />. {reason}{' '}
            {answeredMs === undefined ? (
              'The page asks again every few seconds.'
            ) : (
              <>
                What you see is of <Instant at={new Date(answeredMs).toISOString()} />; the page asks again every few
                seconds.
              </>
            )}
          </span>
        </p>
      )}
    </div>
  );
}
