import type { Management, ManagementCallOptions, Permissions } from './management/management.ts';
import { escapePattern } from './patterns.ts';

/** The vhost of the requests, and who serves them. */
export interface RequestVhostOptions {
  readonly requestVhost: string;
  /** The agent's id. */
  readonly id: string;
  /** The RabbitMQ user of the agent. */
  readonly agentUser: string;
}

/** What {@link ensureRequestVhost} wrote. */
export type RequestVhostRepair = 'vhost' | 'permissions';

/** The description of a vhost of requests that agents with this id created. */
export function requestVhostDescription(id: string): string {
  return `Requests to Pulse Agent ${id}`;
}

/**
 * What the agent's account may do in the vhost of the requests. `amq.default` lets it write into every queue there, which
 * is how it replies: so no other user has a queue in this vhost.
 */
export function agentRequestPermissions(id: string): Permissions {
  const own = `(rpc|queue)/${escapePattern(id)}/v[0-9]+(/.*)?`;
  return { configure: `^${own}$`, write: `^(${own}|amq\\.default)$`, read: `^${own}$` };
}

/** What a client may do there: send requests. It can declare nothing and bind nothing. */
export function requesterPermissions(id: string): Permissions {
  return { configure: '^$', write: `^rpc/${escapePattern(id)}/v[0-9]+$`, read: '^$' };
}

/**
 * Creates the vhost of the requests where it is missing, and gives the agent's account its permissions there.
 *
 * Requests have a vhost of their own because dead-lettering and bindings cannot cross vhosts: a tenant, who may declare
 * queues and exchanges among its own, has no way to bring messages of others into the requests.
 *
 * @returns what it wrote
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`
 */
export async function ensureRequestVhost(
  management: Pick<Management, 'hasVhost' | 'putVhost' | 'getPermissions' | 'putPermissions'>,
  { requestVhost, id, agentUser }: RequestVhostOptions,
  options?: ManagementCallOptions,
): Promise<RequestVhostRepair[]> {
  const written: RequestVhostRepair[] = [];
  if (!(await management.hasVhost(requestVhost, options))) {
    await management.putVhost(requestVhost, requestVhostDescription(id), options);
    written.push('vhost');
  }
  const expected = agentRequestPermissions(id);
  const seen = await management.getPermissions(requestVhost, agentUser, options);
  if (seen?.configure !== expected.configure || seen.write !== expected.write || seen.read !== expected.read) {
    await management.putPermissions(requestVhost, agentUser, expected, options);
    written.push('permissions');
  }
  return written;
}
