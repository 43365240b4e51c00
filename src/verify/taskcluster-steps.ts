import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { type ContactMedium, parseContact } from '../contract/contact.ts';
import { scopesSatisfy } from '../requests/taskcluster-auth.ts';
import { shorten } from '../util/shorten.ts';
import { failed, type StepResult, ok, skipped, type Step, warning } from './step.ts';

/** Taskcluster's answer about the agent's own client. */
export type ScopesAnswer =
  | { readonly status: 'known'; readonly clientId: string; readonly scopes: readonly string[] }
  | { readonly status: 'refused'; readonly message: string };

/** An answer to a ping of the auth service. */
export interface PingAnswer {
  readonly status: number;
  /** Whether it is that of the auth service, and not of a proxy in front of it. */
  readonly isAlive: boolean;
  readonly date: string | null;
}

/** The clock of another machine, compared with this one's. */
export interface ClockReading {
  readonly whose: string;
  /** How far it is ahead of this machine's clock, in ms. */
  readonly aheadMs: number;
  /** The error of the reading, in ms. */
  readonly toleranceMs: number;
}

export interface TaskclusterStepsOptions {
  readonly config: Pick<
    Config,
    'taskclusterRootUrl' | 'taskclusterClientId' | 'taskclusterAccessToken' | 'maxSkewSeconds'
  >;
  readonly clock: Clock;
  /** Asks the auth service for the scopes of the agent's own client. */
  readonly askScopes: (signal: AbortSignal) => Promise<ScopesAnswer>;
  /** The reply of the auth service to a ping; rejects without one. */
  readonly pingAuth: (signal: AbortSignal) => Promise<PingAnswer>;
  /** Other clocks, such as the store's. */
  readonly otherClocks: () => Promise<readonly ClockReading[]>;
  /** The contacts in the store. */
  readonly readContacts: (signal: AbortSignal) => Promise<readonly NamespaceContact[]>;
}

/** The contact of a namespace. */
export type NamespaceContact = { readonly namespace: string; readonly contact: string };

/** Checks that Taskcluster answers, the clocks agree, and the agent may send notices. */
export function taskclusterSteps(options: TaskclusterStepsOptions): Step[] {
  const { config, clock, askScopes, pingAuth, otherClocks, readContacts } = options;
  const hasClient = config.taskclusterClientId !== null && config.taskclusterAccessToken !== undefined;
  let taskclusterClock: ClockReading | undefined;
  return [
    {
      name: 'taskcluster',
      about: 'Taskcluster auth service',
      needs: [],
      async run(signal) {
        const askedMs = clock.nowMs();
        const answer = await pingAuth(signal);
        taskclusterClock = clockOfDateHeader('Taskcluster', answer.date, askedMs, clock.nowMs());
        return checkPing(answer, config.taskclusterRootUrl);
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
      about: 'scope to send mail',
      needs: ['taskcluster'],
      essential: false,
      async run(signal) {
        if (!hasClient) {
          return warning(
            'the agent has no Taskcluster client of its own',
            'Set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN: without them owners get no mail about overgrown queues, only events.',
          );
        }
        return checkNotifyScope(await askScopes(signal));
      },
    },
    {
      name: 'chat-scopes',
      about: 'scopes for Matrix rooms and Slack channels',
      needs: ['taskcluster', 'store'],
      essential: false,
      async run(signal) {
        const contacts = (await readContacts(signal)).filter(({ contact }) => parseContact(contact)?.medium !== 'mail');
        if (contacts.length === 0) return skipped('no contact is a Matrix room or a Slack channel');
        return hasClient
          ? checkChatScopes(contacts, await askScopes(signal))
          : skipped('the agent has no Taskcluster client of its own');
      },
    },
  ];
}

export function checkPing({ status, isAlive }: Pick<PingAnswer, 'status' | 'isAlive'>, rootUrl: string): StepResult {
  if (status === 200 && isAlive) return ok(`${rootUrl} answers`);
  if (status < 400) {
    return failed(
      `${rootUrl} answers with HTTP ${status}, and not as the auth service does`,
      'Set TASKCLUSTER_ROOT_URL to the deployment itself, past any login in front of it: the agent follows no redirects and fills in no pages.',
    );
  }
  return failed(
    `${rootUrl} answers with HTTP ${status}`,
    'Check TASKCLUSTER_ROOT_URL and that the auth service runs: without it nothing can be claimed.',
  );
}

/** Reads a Date header. It has whole seconds, and was written at any time between request and reply. */
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

/** The share of maxSkewSeconds that is a warning. */
const WARNING_SHARE = 0.5;

export function checkClocks(readings: readonly ClockReading[], maxSkewSeconds: number): StepResult {
  if (readings.length === 0) return skipped('there is no other clock to compare with');
  const readingsWithSkew = readings.map((reading) => ({
    ...reading,
    skewMs: Math.max(0, Math.abs(reading.aheadMs) - reading.toleranceMs),
  }));
  const worst = readingsWithSkew.toSorted((a, b) => b.skewMs - a.skewMs)[0];
  if (worst === undefined || worst.skewMs < maxSkewSeconds * 1000 * WARNING_SHARE) {
    return ok(`this machine agrees with ${readings.map(({ whose }) => whose).join(' and ')}`);
  }
  const said = `this machine is ${Math.round(worst.skewMs / 1000)} s ${worst.aheadMs > 0 ? 'behind' : 'ahead of'} ${worst.whose}`;
  const remedy = 'Run a time service (chrony, systemd-timesyncd) on every machine: signatures contain the time.';
  return worst.skewMs > maxSkewSeconds * 1000 ? failed(said, remedy) : warning(said, remedy);
}

/** The scopes to send notices, without the address. */
const SCOPES: Readonly<Record<ContactMedium, string>> = {
  mail: 'notify:email:',
  matrix: 'notify:matrix-room:',
  slack: 'notify:slack-channel:',
};

/** How many characters of a list of scopes are shown. */
const MAX_LISTED_LENGTH = 300;

export function checkNotifyScope(answer: ScopesAnswer): StepResult {
  if (answer.status === 'refused') {
    return failed(
      `Taskcluster refuses the agent's own credentials: ${answer.message}`,
      'Check TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN.',
    );
  }
  if (scopesSatisfy(answer.scopes, 'notify:email:*')) return ok(`${answer.clientId} may send mail to any address`);
  const some = answer.scopes.filter((scope) => scope.startsWith('notify:email:'));
  if (some.length > 0) {
    return warning(
      `${answer.clientId} may send mail to some addresses only: ${shorten(some.join(', '), MAX_LISTED_LENGTH)}`,
      'Other contacts are not reached: give the client notify:email:* unless this is intended.',
    );
  }
  return failed(
    `${answer.clientId} may not send mail`,
    `Give the Taskcluster client ${answer.clientId} the scope notify:email:*.`,
  );
}

/** How many namespaces are named. */
const MAX_NAMED = 5;

/** Checks that notices reach each of these contacts. They are not shown: they are for the agents alone. */
export function checkChatScopes(contacts: readonly NamespaceContact[], answer: ScopesAnswer): StepResult {
  if (answer.status === 'refused') return skipped("Taskcluster refuses the agent's own credentials");
  const { clientId, scopes } = answer;
  const unknown = contacts.filter(({ contact }) => parseContact(contact) === undefined);
  const refused = contacts.flatMap(({ namespace, contact }) => {
    const parsed = parseContact(contact);
    const isServed = parsed === undefined || scopesSatisfy(scopes, `${SCOPES[parsed.medium]}${parsed.address}`);
    return isServed ? [] : [{ namespace, scope: `${SCOPES[parsed.medium]}*` }];
  });
  if (refused.length > 0) {
    const missing = [...new Set(refused.map(({ scope }) => scope))].join(', ');
    return failed(
      `${clientId} may send nothing to the contacts of ${named(refused)}`,
      `Give the Taskcluster client ${clientId} the scopes ${missing}, or have other contacts claimed.`,
    );
  }
  if (unknown.length > 0) {
    return warning(
      `the contacts of ${named(unknown)} have a form that this version does not know`,
      'Update the agents: a later version has stored them.',
    );
  }
  return ok(`${clientId} may post to the rooms and channels of ${contacts.length} namespaces`);
}

function named(namespaces: readonly { readonly namespace: string }[]): string {
  const names = namespaces.slice(0, MAX_NAMED).map(({ namespace }) => namespace);
  const rest = namespaces.length - names.length;
  return `${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
