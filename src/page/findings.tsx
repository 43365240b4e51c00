import type { JSX } from 'preact';
import type { FindingView } from '../operator-api/schemas.ts';
import { Lasting } from './instant.tsx';
import { Name, Said } from './page-parts.tsx';
import { ToneShape } from './state-mark.tsx';

/** What an operator should know, the worst first, with what to do. */
export function Findings({ findings }: { readonly findings: readonly FindingView[] }): JSX.Element {
  return (
    <ul class="findings">
      {findings.map(({ level, about, since, said, remedy, agents }) => (
        <li key={`${about} ${said}`} class={level}>
          <ToneShape tone={level === 'down' ? 'bad' : 'warn'} shape={level === 'down' ? 'square' : 'triangle'} />
          <span>
            <strong>{about}</strong> <Said>{said}</Said>
            {since !== undefined && (
              <small>
                {' '}
                <Lasting since={since} />
              </small>
            )}
            {remedy !== undefined && <span class="remedy">{remedy}</span>}
            {agents.length > 0 && (
              <small class="finding-agents">
                {agents.map((agent) => (
                  <Name key={agent}>{agent}</Name>
                ))}
              </small>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}
