import type * as z from 'zod';
import type { Agent } from '../../src/agent/agent.ts';
import { ENDPOINT_FORMS, type EndpointName } from '../../src/operator-api/endpoint.ts';

/** An answer of an endpoint of the page for operators. */
export type AnswerOf<Name extends EndpointName> = z.output<(typeof ENDPOINT_FORMS)[Name]['answer']>;

/** Reads an endpoint of an agent over HTTP, and checks the answer. */
export async function readPage<Name extends EndpointName>(
  { httpPort }: Pick<Agent, 'httpPort'>,
  token: string,
  endpoint: Name,
  parameters: Readonly<Record<string, string>> = {},
): Promise<AnswerOf<Name>> {
  const { path, answer } = ENDPOINT_FORMS[endpoint];
  const { name = '', ...query } = parameters;
  const url = `http://127.0.0.1:${httpPort}${path.replace(':name', encodeURIComponent(name))}`;
  const response = await fetch(`${url}?${new URLSearchParams(query).toString()}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
  return answer.parse(JSON.parse(text)) as AnswerOf<Name>;
}
