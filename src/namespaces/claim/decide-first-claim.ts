import type { BrokerUser } from '../../broker/management/management.ts';
import { storesOfTags } from '../../broker/store-tag.ts';

/** What the broker has under a name that no agent serves yet. */
export interface FoundUnderName {
  readonly namespace: string;
  /** The users that have the names of its accounts. */
  readonly users: readonly BrokerUser[];
  /** One of its queues or exchanges; undefined: it has none. */
  readonly object: string | undefined;
  /** Whether the agents deleted a namespace of this name lately. */
  readonly hasTombstone: boolean;
}

/** Why a first claim is refused. */
export interface Refusal {
  readonly reason: 'account' | 'objects';
  /** The user, queue or exchange that is in the way. */
  readonly subject: string;
  /** For the client, and for the operator it asks. */
  readonly message: string;
  /** Whether the agents remove what is in the way. */
  readonly retryable: boolean;
}

/**
 * Decides whether a first claim may take a name. A user that the agents of this store did not create is not theirs to
 * change; neither are queues and exchanges that existed before the first claim, because the deletion of the namespace
 * would delete them.
 *
 * @param storeIds the stores whose users are this installation's: its own, and those that it replaced
 * @returns undefined: it may
 */
export function decideFirstClaim(
  { namespace, users, object, hasTombstone }: FoundUnderName,
  storeIds: ReadonlySet<string>,
): Refusal | undefined {
  const foreign = users.find(({ tags }) => !storesOfTags(tags).some((store) => storeIds.has(store)));
  if (foreign !== undefined) {
    return {
      reason: 'account',
      subject: foreign.name,
      message: `The RabbitMQ user ${foreign.name} exists and was not created by this agent. Ask an operator to rename or delete that user, or claim another name.`,
      retryable: false,
    };
  }
  if (users.length > 0 || object === undefined) return undefined;
  if (hasTombstone) {
    return {
      reason: 'objects',
      subject: object,
      message: `Queues or exchanges of the deleted namespace ${namespace} exist again. Claim it when the agent has deleted them, in a few minutes.`,
      retryable: true,
    };
  }
  return {
    reason: 'objects',
    subject: object,
    message: `Queues or exchanges of ${namespace} exist although it was never claimed. If they are yours, ask an operator to run "pulse-agent adopt ${namespace}"; otherwise claim another name.`,
    retryable: false,
  };
}
