import * as z from 'zod';
import { auditAnswer, auditQuery } from './audit-schemas.ts';
import { healthAnswer, overviewAnswer } from './health-schemas.ts';
import { namespaceAnswer, namespaceQuery, namespacesAnswer, namespacesQuery } from './namespace-schemas.ts';
import { planAnswer, planQuery } from './plan-schemas.ts';
import { queueHistoryAnswer, queueHistoryQuery, queuesAnswer, queuesQuery } from './queue-schemas.ts';

/** What an endpoint is about: its place, what it takes, and what it answers. */
export interface EndpointForm {
  /** Below the path of the page. It may end in `/:name`, whose text is the parameter `name`. */
  readonly path: string;
  readonly summary: string;
  /** Strict: of texts, as a URL has them. */
  readonly query: z.ZodType<Record<string, unknown>>;
  /** Strict: what is not in it does not leave the agent. */
  readonly answer: z.ZodType<Record<string, unknown>>;
}

const noQuery = z.strictObject({});

/** All endpoints that answer in JSON. */
export const ENDPOINT_FORMS = {
  overview: {
    path: '/api/v1/overview',
    summary: 'Whether the installation is healthy, and how much there is of what.',
    query: noQuery,
    answer: overviewAnswer,
  },
  namespaces: {
    path: '/api/v1/namespaces',
    summary: 'Namespaces, a page of them.',
    query: namespacesQuery,
    answer: namespacesAnswer,
  },
  namespace: {
    path: '/api/v1/namespaces/:name',
    summary: 'One namespace, with all that is known of it.',
    query: namespaceQuery,
    answer: namespaceAnswer,
  },
  queues: {
    path: '/api/v1/queues',
    summary: 'The queues of namespaces, a page of them.',
    query: queuesQuery,
    answer: queuesAnswer,
  },
  queueHistory: {
    path: '/api/v1/queue-history',
    summary: 'The depth of one queue over the last hours.',
    query: queueHistoryQuery,
    answer: queueHistoryAnswer,
  },
  plan: {
    path: '/api/v1/plan',
    summary: 'What agents will do next, and why.',
    query: planQuery,
    answer: planAnswer,
  },
  audit: {
    path: '/api/v1/audit',
    summary: 'What was done, by whom and why, a page of it.',
    query: auditQuery,
    answer: auditAnswer,
  },
  health: {
    path: '/api/v1/health',
    summary: 'The parts of the agents, their jobs, and the settings in force.',
    query: noQuery,
    answer: healthAnswer,
  },
} as const satisfies Record<string, EndpointForm>;

/** The name of an endpoint. */
export type EndpointName = keyof typeof ENDPOINT_FORMS;

/** An endpoint that can be read. */
export interface ApiEndpoint extends EndpointForm {
  /**
   * Answers a query that `query` has parsed. What it returns still passes through `answer`: use {@link readEndpoint}.
   *
   * @returns undefined: there is no such thing
   * @throws AgentError when the store or the broker cannot be read; the signal's reason
   */
  readonly read: (query: never, signal: AbortSignal) => Promise<Record<string, unknown> | undefined>;
}

/** How each endpoint is answered. */
export type EndpointReads = {
  readonly [Name in EndpointName]: (
    query: z.output<(typeof ENDPOINT_FORMS)[Name]['query']>,
    signal: AbortSignal,
  ) => Promise<z.input<(typeof ENDPOINT_FORMS)[Name]['answer']> | undefined>;
};

/** The endpoints, each with how it is answered. */
export function endpointsOf(reads: EndpointReads): ApiEndpoint[] {
  return Object.entries(ENDPOINT_FORMS).map(([name, form]) => ({ ...form, read: reads[name as EndpointName] }));
}

/** The outcome of a query. */
export type EndpointResult =
  /** The answer, checked. */
  | { readonly is: 'answer'; readonly body: Record<string, unknown> }
  /** `problem` names the parameter and what it must be. */
  | { readonly is: 'invalid'; readonly problem: string }
  | { readonly is: 'missing' };

/**
 * Checks the parameters, reads, and checks the answer.
 *
 * @throws AgentError when the store or the broker cannot be read; ZodError for an answer that is not as its schema says; the
 *   signal's reason
 */
export async function readEndpoint(
  { query, answer, read }: ApiEndpoint,
  parameters: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<EndpointResult> {
  const parsed = query.safeParse(parameters);
  if (!parsed.success) return { is: 'invalid', problem: problemOf(parsed.error) };
  const found = await read(parsed.data as never, signal);
  return found === undefined ? { is: 'missing' } : { is: 'answer', body: answer.parse(found) };
}

/** A sentence about the first fault in the parameters. */
export function problemOf({ issues }: z.ZodError): string {
  const [issue] = issues;
  if (issue === undefined) return 'The parameters are not valid.';
  if (issue.code === 'unrecognized_keys') return `There is no parameter ${issue.keys.join(', ')}.`;
  return `The parameter ${issue.path.join('.')} is not valid: ${issue.message}.`;
}
