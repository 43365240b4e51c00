import { PulseAgentError } from '../client/client-errors.ts';
import { WireError } from '../contract/wire-errors.ts';
import { AgentError } from '../util/agent-errors.ts';
import { resultOfError } from './run-steps.ts';
import type { StepResult } from './step.ts';

/** One of several addresses of the same RabbitMQ. */
export interface CheckedAddress {
  /** Without credentials. */
  readonly shown: string;
  readonly check: () => Promise<StepResult>;
}

/**
 * Checks every address by itself: an agent and its clients try them in turn, so a fault of one shows only when the others are
 * gone. One that cannot be reached is a warning while another works, because its node may be down.
 */
export async function checkEach(addresses: readonly CheckedAddress[]): Promise<StepResult> {
  const [only, ...others] = addresses;
  if (only !== undefined && others.length === 0) return await only.check();
  const results = [];
  for (const { shown, check } of addresses) results.push({ shown, ...(await checkOne(check)) });
  const works = results.some(({ outcome }) => outcome === 'ok' || outcome === 'warning');
  const isFailed = results.some(({ outcome, isUnreachable }) => outcome === 'failed' && !(works && isUnreachable));
  const remedies = new Set(results.flatMap(({ remedy }) => remedy ?? []));
  return {
    outcome: isFailed ? 'failed' : remedies.size > 0 ? 'warning' : 'ok',
    said: results.map(({ shown, said }) => `${shown}: ${said}`).join('; '),
    ...(remedies.size === 0 ? {} : { remedy: [...remedies].join(' ') }),
  };
}

async function checkOne(check: CheckedAddress['check']): Promise<StepResult & { readonly isUnreachable: boolean }> {
  try {
    return { ...(await check()), isUnreachable: false };
  } catch (error) {
    return { ...resultOfError(error), isUnreachable: isOutOfReach(error) };
  }
}

function isOutOfReach(error: unknown): boolean {
  if (error instanceof AgentError) return error.code === 'BrokerUnavailable';
  return (error instanceof WireError || error instanceof PulseAgentError) && error.code === 'Unavailable';
}
