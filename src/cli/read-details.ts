import { AuthenticationFailed, Unavailable } from '../client/client-errors.ts';
import type { Namespace, PulseAgentClient, ReadOptions } from '../client/client.ts';

/** Namespaces as an agent returned them. */
export interface NamespacesRead {
  readonly namespaces: readonly Namespace[];
  /** Whether the request was signed, so that details may be there. */
  readonly isSigned: boolean;
  /** A sentence about details that are missing; undefined: none are. */
  readonly missing: string | undefined;
}

/** How long a signed request may take, in ms: the same without a signature may follow. */
const SIGNED_TIMEOUT_MS = 10_000;

const HOW_TO_SEE =
  'set TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN to a client with the scope pulse:describe:<namespace>';

/**
 * Reads namespaces with their details where there is a signer. Where its signature cannot be checked, it reads what is
 * public: that needs neither Taskcluster nor right credentials.
 *
 * @param signer the clientId; undefined: requests are not signed
 * @param areDetailsNeeded with a signer: what is public does not serve in their place
 */
export async function readNamespacesFor(
  client: PulseAgentClient,
  signer: string | undefined,
  signal: AbortSignal,
  read: (client: PulseAgentClient, options: ReadOptions) => Promise<Namespace[]>,
  areDetailsNeeded = false,
): Promise<NamespacesRead> {
  let missing = `Holders, claims, rotations and counts are not shown: ${HOW_TO_SEE}.`;
  if (signer !== undefined) {
    try {
      const namespaces = await read(client, { signal, details: true, timeoutMs: SIGNED_TIMEOUT_MS });
      const hasDetails = namespaces.length === 0 || namespaces.some(({ details }) => details !== undefined);
      return { namespaces, isSigned: true, missing: hasDetails ? undefined : noScope(signer) };
    } catch (error) {
      if (areDetailsNeeded || !(error instanceof AuthenticationFailed || error instanceof Unavailable)) throw error;
      missing = `Only what is public is shown: ${error.message}`;
    }
  }
  return { namespaces: await read(client, { signal }), isSigned: false, missing };
}

function noScope(signer: string): string {
  return `The agent returned no details: ${signer} lacks the scope pulse:describe:<namespace> or pulse:namespace:<namespace>, or the agent is of an earlier version.`;
}
