import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { scopesSatisfy } from '../requests/taskcluster-auth.ts';
import { failed, type StepResult, ok, skipped, type Step, warning } from './step.ts';

/** What Taskcluster says of the client that the agent itself uses. */
export type ScopesAnswer =
  | { readonly status: 'known'; readonly clientId: string; readonly scopes: readonly string[] }
  | { readonly status: 'refused'; readonly message: string };

/** A clock somewhere else, compared with the one here. */
export interface ClockReading {
  readonly whose: string;
  /** By how many ms it is ahead of the one here. */
  readonly aheadMs: number;
  /** How far the reading itself may be off, in ms. */
  readonly toleranceMs: number;
}

/** What these steps are made of. */
export interface TaskclusterStepsParts {
  readonly config: Pick<
    Config,
    'taskclusterRootUrl' | 'taskclusterClientId' | 'taskclusterAccessToken' | 'maxSkewSeconds'
  >;
  readonly clock: Clock;
  /** Asks the auth service who signs with the agent's own Taskcluster credentials. */
  readonly askScopes: (signal: AbortSignal) => Promise<ScopesAnswer>;
  /** The answer of the auth service to a ping; rejects when there is none. */
  readonly pingAuth: (signal: AbortSignal) => Promise<{ readonly status: number; readonly date: string | null }>;
  /** Other clocks that can be read, such as the store's. */
  readonly otherClocks: () => Promise<readonly ClockReading[]>;
}

/** Taskcluster answers, the clocks agree, and the agent may send mail. */
export function taskclusterSteps(parts: TaskclusterStepsParts): Step[] {
  const { config, clock, askScopes, pingAuth, otherClocks } = parts;
  let taskclusterClock: ClockReading | undefined;
  return [
    {
      name: 'taskcluster',
      about: "Taskcluster's auth service",
      needs: [],
      async run(signal) {
        const askedMs = clock.nowMs();
        const { status, date } = await pingAuth(signal);
        taskclusterClock = clockOfDateHeader('Taskcluster', date, askedMs, clock.nowMs());
        return checkPing(status, config.taskclusterRootUrl);
      },
    },
    {
      name: 'clock',
      about: 'clocks',
      needs: [],
      async run() {
        const readings = [...(taskclusterClock === undefined ? [] : [taskclusterClock]), ...(await otherClocks())];
        return checkClocks(readings, config.maxSkewSeconds);
      },
    },
    {
      name: 'notify-scope',
      about: 'the right to send mail',
      needs: ['taskcluster'],
      async run(signal) {
        if (config.taskclusterClientId === null || config.taskclusterAccessToken === undefined) {
          return warning(
            'the agent has no Taskcluster client of its own',
            'Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN: without them owners hear of a queue that grows only by events.',
          );
        }
        return checkNotifyScope(await askScopes(signal));
      },
    },
  ];
}

export function checkPing(status: number, rootUrl: string): StepResult {
  if (status === 200) return ok(`${rootUrl} answers`);
  return failed(
    `${rootUrl} answers with HTTP ${status}`,
    'See whether TASKCLUSTER_ROOT_URL is right and the auth service runs: without it nothing can be claimed.',
  );
}

/** A Date header has whole seconds; the answer may have been made at any moment between asking and reading. */
export function clockOfDateHeader(
  whose: string,
  date: string | null,
  askedMs: number,
  readMs: number,
): ClockReading | undefined {
  const saidMs = Date.parse(date ?? '');
  if (Number.isNaN(saidMs)) return undefined;
  const middleMs = (askedMs + readMs) / 2;
  return { whose, aheadMs: saidMs + 500 - middleMs, toleranceMs: 500 + (readMs - askedMs) / 2 };
}

/** Half of what is allowed is a reason to look. */
const WORRYING_SHARE = 0.5;

export function checkClocks(readings: readonly ClockReading[], maxSkewSeconds: number): StepResult {
  if (readings.length === 0) return skipped('nobody tells the time');
  const certain = readings.map((reading) => ({
    ...reading,
    offMs: Math.max(0, Math.abs(reading.aheadMs) - reading.toleranceMs),
  }));
  const worst = certain.toSorted((a, b) => b.offMs - a.offMs)[0];
  if (worst === undefined || worst.offMs < maxSkewSeconds * 1000 * WORRYING_SHARE) {
    return ok(`this machine agrees with ${readings.map(({ whose }) => whose).join(' and ')}`);
  }
  const said = `this machine is ${Math.round(worst.offMs / 1000)} s ${worst.aheadMs > 0 ? 'behind' : 'ahead of'} ${worst.whose}`;
  const remedy = 'Run a time service (chrony, systemd-timesyncd) on every machine: signatures carry the time.';
  return worst.offMs > maxSkewSeconds * 1000 ? failed(said, remedy) : warning(said, remedy);
}

export function checkNotifyScope(answer: ScopesAnswer): StepResult {
  if (answer.status === 'refused') {
    return failed(
      `Taskcluster refuses the agent's own credentials: ${answer.message}`,
      'See TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN.',
    );
  }
  if (scopesSatisfy(answer.scopes, 'notify:email:*')) return ok(`${answer.clientId} may send mail to anybody`);
  const some = answer.scopes.filter((scope) => scope.startsWith('notify:email:'));
  if (some.length > 0) {
    return warning(
      `${answer.clientId} may send mail to some: ${some.join(', ')}`,
      'Contacts outside of that are not reached: give it notify:email:* unless this is meant.',
    );
  }
  return failed(
    `${answer.clientId} may not send mail`,
    `Give the Taskcluster client ${answer.clientId} the scope notify:email:*.`,
  );
}
