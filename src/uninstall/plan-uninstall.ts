import { counted } from '../util/counted.ts';
import type { InstallationOnBroker, InstallationSettings } from './installation-on-broker.ts';

/** The kinds of things that are removed. */
export type RemovedKind =
  | 'operator policy'
  | 'policy'
  | 'exchange'
  | 'queue'
  | 'vhost'
  | 'permissions'
  | 'user'
  | 'global parameter';

/** Things of one kind that are removed together. */
export interface RemovalStep {
  readonly kind: RemovedKind;
  /** Undefined: they are in no vhost. */
  readonly vhost?: string;
  readonly names: readonly string[];
  /** What they are; shown to the operator. */
  readonly about: string;
}

/** Something that stays, and why. */
export interface LeftThing {
  readonly what: string;
  readonly why: string;
}

/** What an uninstallation removes, in this order, and what it leaves. */
export interface UninstallPlan {
  readonly steps: readonly RemovalStep[];
  readonly left: readonly LeftThing[];
}

/** What the operator wants removed besides what agents made for themselves. */
export interface UninstallOptions {
  /** The accounts, queues and exchanges of namespaces. */
  readonly namespaces: boolean;
  /** The vhost of the requests also where agents did not create it, or something else is in it. */
  readonly requestVhost: boolean;
}

/** How many names of foreign things are shown. */
const MAX_NAMED = 5;

/**
 * Decides what to remove. Accounts come first, so that nothing is declared again; markers come last, so that what is left
 * after a failure still has its owner.
 *
 * @param storeUrl without credentials
 */
export function planUninstall(
  found: InstallationOnBroker,
  settings: Pick<InstallationSettings, 'vhost' | 'requestVhost' | 'eventVhost' | 'agentUser'>,
  { namespaces, requestVhost: withVhost }: UninstallOptions,
  storeUrl: string,
): UninstallPlan {
  const { vhost, eventVhost, requestVhost, agentUser } = settings;
  const { accounts, namespaceQueues, namespaceExchanges, foreignUsers, requestVhost: requests } = found;
  const queueCount = namespaceQueues.length + found.exemptQueues.length;
  const claimants = found.claimant === undefined ? [] : [found.claimant];
  const isVhostRemoved = requests !== undefined && (withVhost || (requests.isOwn && requests.foreign.length === 0));
  const steps: RemovalStep[] = [
    { kind: 'user', names: claimants, about: 'the claimant' },
    ...(namespaces
      ? ([
          { kind: 'user', names: accounts, about: 'accounts of namespaces, with their connections' },
          { kind: 'queue', vhost, names: namespaceQueues, about: 'queues of namespaces, with their messages' },
          { kind: 'exchange', vhost, names: namespaceExchanges, about: 'exchanges of namespaces' },
        ] as const)
      : []),
    { kind: 'operator policy', vhost, names: found.operatorPolicies, about: 'the backstop of queues and streams' },
    { kind: 'exchange', vhost, names: found.exchanges, about: 'the exchange of agent events' },
    { kind: 'queue', vhost: eventVhost, names: found.eventQueues, about: 'the queues of broker events' },
    { kind: 'policy', vhost: eventVhost, names: found.eventPolicies, about: 'their limits' },
    ...(requests === undefined
      ? []
      : isVhostRemoved
        ? ([
            {
              kind: 'vhost',
              names: [requestVhost],
              about: 'the vhost of the requests, with dead letters and all else in it',
            },
          ] as const)
        : ([
            { kind: 'queue', vhost: requestVhost, names: requests.queues, about: 'requests and dead letters' },
            { kind: 'exchange', vhost: requestVhost, names: requests.exchanges, about: 'the exchanges of requests' },
            { kind: 'policy', vhost: requestVhost, names: requests.policies, about: 'their limits' },
            {
              kind: 'permissions',
              vhost: requestVhost,
              names: requests.hasPermissions ? [agentUser] : [],
              about: "the permissions of the agent's account there",
            },
          ] as const)),
    { kind: 'global parameter', names: found.markers, about: 'the marker' },
  ];
  const left: LeftThing[] = [
    { what: `the store ${storeUrl}`, why: 'remove its folder or database when nothing of it is wanted any more' },
    { what: 'settings, secrets and variables of the agents', why: 'they are not on the broker' },
    { what: `the user ${agentUser}`, why: "the agent's own account, with which this command works" },
  ];
  if (requests !== undefined && !isVhostRemoved) {
    left.push({
      what: `the vhost ${requestVhost}`,
      why: `${whyKept(requests)}; --request-vhost removes it all the same`,
    });
  }
  if (!namespaces && accounts.length + queueCount + namespaceExchanges.length > 0) {
    const counts = [
      counted(accounts.length, 'account'),
      counted(queueCount, 'queue'),
      counted(namespaceExchanges.length, 'exchange'),
    ].join(', ');
    left.push({
      what: `${counts} of namespaces`,
      why: 'they stay usable and are watched no more; --namespaces removes them',
    });
  }
  if (namespaces && found.exemptQueues.length > 0) {
    left.push({
      what: `queues ${some(found.exemptQueues)}`,
      why: 'they are exempt now; "pulse-agent exempt <queue> --end" ends that',
    });
  }
  if (foreignUsers.length > 0) {
    left.push({ what: `users ${some(foreignUsers)}`, why: 'no agent of this store made them' });
  }
  return { steps: steps.filter(({ names }) => names.length > 0), left };
}

function whyKept({ isOwn, foreign }: NonNullable<InstallationOnBroker['requestVhost']>): string {
  const reasons = [
    ...(isOwn ? [] : ['no agent created it']),
    ...(foreign.length === 0 ? [] : [`it has things that no agent made (${some(foreign)})`]),
  ];
  return reasons.join(', and ');
}

function some(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return names.slice(0, MAX_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
