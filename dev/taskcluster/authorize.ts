import scopeLibrary from 'taskcluster-lib-scopes';
import { ApiError } from './api-error.ts';
import type { HawkReply } from './authenticate-hawk.ts';

/**
 * Requires that the caller has a scope.
 *
 * @throws ApiError AuthenticationFailed or InsufficientScopes
 */
export function authorize(caller: HawkReply, required: string): void {
  if (caller.status === 'auth-failed') throw new ApiError('AuthenticationFailed', caller.message);
  if (scopeLibrary.satisfiesExpression(caller.scopes, required)) return;
  const who = caller.status === 'auth-success' ? `Client ID ${caller.clientId}` : 'An anonymous caller';
  throw new ApiError(
    'InsufficientScopes',
    `${who} does not have sufficient scopes and is missing the following scopes:\n\n\`\`\`\n${required}\n\`\`\``,
  );
}
