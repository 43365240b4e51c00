import type { AgentContext } from '../context.ts';
import { type Notifier, noNotifier } from './notifier.ts';
import { createSendNotices, type SendNotices } from './send-notices.ts';
import { createTaskclusterMail } from './taskcluster-notify.ts';

/** What {@link createNotices} takes. */
export type NoticesContext = Pick<AgentContext, 'config' | 'store' | 'clock' | 'reporters'>;

/** Assembles the sending of notices. */
export function createNotices(context: NoticesContext): SendNotices {
  const { id: agentId, surveyIntervalSeconds } = context.config;
  return createSendNotices({
    ...context,
    notifier: createNotifier(context),
    mail: { agentId, surveyIntervalSeconds },
  });
}

function createNotifier({ config, clock }: Pick<AgentContext, 'config' | 'clock'>): Notifier {
  const { taskclusterRootUrl: rootUrl, taskclusterClientId: clientId, taskclusterAccessToken: accessToken } = config;
  if (clientId === null || accessToken === undefined) return noNotifier;
  return createTaskclusterMail({ rootUrl, clientId, accessToken, clock });
}
