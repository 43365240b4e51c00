import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { missingPermissions, pageEventPermissions, type RequiredPermission } from './permissions.ts';
import { ok, skipped, type Step, type StepResult, warning } from './step.ts';

interface PageStepOptions {
  readonly config: Pick<Config, 'id' | 'vhost' | 'agentUser' | 'operatorToken'>;
  readonly management: Pick<Management, 'getPermissions'>;
}

/** Checks whether the page for operators gets the events of all agents. Without a page no agent needs these rights. */
export function pageStep({ config, management }: PageStepOptions): Step {
  const { id, vhost, agentUser, operatorToken } = config;
  return {
    name: 'page-rights',
    about: 'events of all agents on the page for operators',
    needs: ['management-api'],
    essential: false,
    async run(signal) {
      if (operatorToken === undefined) return skipped('there is no page: PULSE_AGENT_OPERATOR_TOKEN is not set');
      const permissions = await management.getPermissions(vhost, agentUser, { signal });
      return checkPageRights(config, missingPermissions(permissions, pageEventPermissions(id)));
    },
  };
}

export function checkPageRights(
  { vhost, agentUser }: Pick<Config, 'vhost' | 'agentUser'>,
  missing: readonly RequiredPermission[],
): StepResult {
  if (missing.length === 0) return ok(`${agentUser} may consume the events of all agents`);
  const rights = missing.map(({ permission, name }) => `${permission} on ${name}`).join(', ');
  return warning(
    `the page shows the events of one agent: ${agentUser} lacks ${rights} in the vhost ${vhost}`,
    'Add the rights that docs/page.md names with "rabbitmqctl set_permissions".',
  );
}
