import { AgentError } from '../../util/agent-errors.ts';
import { AddressFault } from './management-refusals.ts';
import { BrokerRefusal } from './management-http.ts';
import type {
  ManagementCallOptions,
  ManagementHttp,
  ManagementRequest,
  ManagementResponse,
} from './management-http.ts';

/** A queue that exists once an agent has run, and whose name has a slash. */
export interface ProbeQueue {
  readonly vhost: string;
  readonly name: string;
}

const WHO_AM_I: ManagementRequest = { method: 'GET', path: ['whoami'] };

/**
 * Confirms each status of 404 before it counts as the absence of a resource. A node that is stopping answers 404 to
 * everything for some ms, and so does a proxy to every name with a slash if it decodes `%2F`. An agent that believed them
 * would take accounts and queues for deleted.
 *
 * Where RabbitMQ's handler of the resource answered, and no name has a slash, no other call is made.
 *
 * @param probe without it, names with a slash are not confirmed
 */
export function confirmMissing(transport: ManagementHttp, probe: ProbeQueue | undefined): ManagementHttp {
  const isMissing = async (request: ManagementRequest, options: ManagementCallOptions): Promise<boolean> =>
    (await transport.send(request, options)).status === 404;

  /** Proxies and RabbitMQ's other routes refuse some paths with another status. */
  const isLost = async (request: ManagementRequest, options: ManagementCallOptions): Promise<boolean> => {
    try {
      return await isMissing(request, options);
    } catch (error) {
      if (error instanceof BrokerRefusal && error.status !== 401) return true;
      throw error;
    }
  };

  const assertAnswers = async (request: ManagementRequest, options: ManagementCallOptions): Promise<void> => {
    if (!(await isMissing(WHO_AM_I, options))) return;
    throw new AddressFault(
      'BrokerUnavailable',
      `RabbitMQ's management API at ${transport.shownUrl} answered ${describe(request)} with 404, and /api/whoami, too: its node is stopping, or RABBITMQ_MANAGEMENT_URL leads to something else.`,
    );
  };

  /** Only a queue that is listed shows that names with a slash get lost; before the first start of an agent it is not. */
  const assertSlashesPass = async ({ vhost, name }: ProbeQueue, options: ManagementCallOptions): Promise<void> => {
    const read = { method: 'GET', path: ['queues', vhost, name], query: { disable_stats: 'true' } } as const;
    const list = { method: 'GET', path: ['queues', vhost], query: { disable_stats: 'true', columns: 'name' } } as const;
    if (!(await isLost(read, options))) return;
    let isListed = false;
    const find = (element: unknown): void => {
      isListed ||= (element as { name?: unknown } | null)?.name === name;
    };
    await transport.sendForList(list, find, options);
    // It may have been declared between the two calls.
    if (!isListed || !(await isLost(read, options))) return;
    throw slashesLost(transport.shownUrl, name);
  };

  const confirm = async (
    request: ManagementRequest,
    options: ManagementCallOptions,
    send: () => Promise<ManagementResponse>,
  ): Promise<ManagementResponse> => {
    const hasSlash = request.path.some((name) => name.includes('/'));
    const { beforeSend: _, ...probing } = options;
    const response = await send().catch(async (error: unknown) => {
      // A path that leads elsewhere may also have another method or form there.
      if (hasSlash && probe !== undefined && error instanceof BrokerRefusal) await assertSlashesPass(probe, probing);
      throw error;
    });
    if (response.status !== 404 || (response.isOfResource === true && !hasSlash)) return response;
    await assertAnswers(request, probing);
    if (hasSlash && probe !== undefined) await assertSlashesPass(probe, probing);
    // Another node of the cluster may have answered the probes. All calls here are idempotent.
    return response.isOfResource === true ? response : await send();
  };

  return {
    ...transport,
    send: (request, options = {}) => confirm(request, options, () => transport.send(request, options)),
    sendForList: (request, onElement, options = {}) =>
      confirm(request, options, () => transport.sendForList(request, onElement, options)),
  };
}

/** The error for names with a slash that a proxy changes. */
export function slashesLost(shownUrl: string, name: string): AgentError {
  return new AgentError(
    'BrokerRefused',
    `RabbitMQ's management API at ${shownUrl} lists the queue ${name} and does not find it by its name: a proxy in front of it decodes %2F. Have the proxy pass paths on unchanged (nginx: proxy_pass without a path; Apache: AllowEncodedSlashes NoDecode and nocanon).`,
  );
}

function describe({ method, path }: ManagementRequest): string {
  return `${method} /api/${path.map(encodeURIComponent).join('/')}`;
}
