import * as z from 'zod';
import type { AgentError } from '../../util/agent-errors.ts';
import { CLUSTER_COLUMNS, type ClusterNode, clusterNodeSchema } from './cluster-nodes.ts';
import type { ManagementCallOptions, ManagementHttp } from './management-http.ts';
import type { ManagementReads } from './management-reads.ts';
import {
  alarmsSchema,
  type Identity,
  identitySchema,
  type NodeAlarm,
  type NodeUptime,
  type FeatureFlag,
  featureFlagSchema,
  type Overview,
  overviewSchema,
  type VhostLimits,
  vhostLimitsSchema,
  uptimeSchema,
} from './management-schemas.ts';

/** The calls about the broker itself and its nodes. */
export interface BrokerStateCalls {
  /** All nodes of the cluster, also those that are down. It takes about 2 ms. */
  listNodes(options?: ManagementCallOptions): Promise<ClusterNode[]>;
  /** The alarms that are set, current and without statistics: those in `/nodes` are old, or missing. */
  listAlarms(options?: ManagementCallOptions): Promise<NodeAlarm[]>;
  /** The uptimes of the running nodes as their statistics have them: their growth shows how old statistics may be. */
  listUptimes(options?: ManagementCallOptions): Promise<NodeUptime[]>;
  overview(options?: ManagementCallOptions): Promise<Overview>;
  whoAmI(options?: ManagementCallOptions): Promise<Identity>;
  listFeatureFlags(options?: ManagementCallOptions): Promise<FeatureFlag[]>;
  getVhostLimits(vhost: string, options?: ManagementCallOptions): Promise<VhostLimits>;
}

const uptimesSchema = z.array(uptimeSchema);

/** Creates the calls over a transport. */
export function createBrokerStateCalls(
  transport: Pick<ManagementHttp, 'send' | 'refusal'>,
  get: ManagementReads['get'],
  unreadable: (path: readonly string[]) => AgentError,
): BrokerStateCalls {
  return {
    listNodes: (options) => get(z.array(clusterNodeSchema), ['nodes'], options, CLUSTER_COLUMNS),
    async listAlarms(options) {
      const request = { method: 'GET', path: ['health', 'checks', 'alarms'], expected: [503] } as const;
      const response = await transport.send(request, options);
      if (response.status === 404) throw transport.refusal(request, response);
      const read = alarmsSchema.safeParse(response.body);
      if (read.success) return read.data;
      // A proxy answers 503, too, where RabbitMQ is down.
      throw unreadable(request.path);
    },
    async listUptimes(options) {
      const request = { method: 'GET', path: ['nodes'], query: { columns: 'name,running,uptime' } } as const;
      const response = await transport.send(request, options);
      if (response.status === 404) throw transport.refusal(request, response);
      const read = uptimesSchema.safeParse(response.body);
      if (!read.success) throw unreadable(request.path);
      return read.data.flatMap((uptime) => (uptime === undefined ? [] : [{ ...uptime, readFrom: response.from }]));
    },
    overview: (options) => get(overviewSchema, ['overview'], options),
    listFeatureFlags: (options) => get(z.array(featureFlagSchema), ['feature-flags'], options),
    getVhostLimits: (vhost, options) => get(vhostLimitsSchema, ['vhost-limits', vhost], options),
    whoAmI: (options) => get(identitySchema, ['whoami'], options),
  };
}
