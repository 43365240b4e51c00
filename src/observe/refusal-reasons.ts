/**
 * Why a request that is in order was refused: what exists would have been taken over (a user, queues or exchanges), or one
 * client asks for too much.
 */
export const REFUSAL_REASONS = ['account', 'objects', 'too-many-namespaces', 'too-many-requests'] as const;

/** A reason of {@link REFUSAL_REASONS}. */
export type RefusalReason = (typeof REFUSAL_REASONS)[number];
