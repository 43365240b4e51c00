import type { AgentContext } from '../context.ts';
import type { Observation } from '../observe/observation.ts';
import type { OperatorPage } from './operator-page.ts';

/** The page for operators, if there is a token for it. Only then its code is loaded. */
export async function openOperatorPage(
  context: AgentContext,
  observation: Observation,
): Promise<OperatorPage | undefined> {
  const { operatorToken, httpPort } = context.config;
  if (operatorToken === undefined || httpPort === null) return undefined;
  const { createOperatorPage } = await import('./operator-page.ts');
  return context.lifecycle.use(createOperatorPage(context, operatorToken, observation));
}
