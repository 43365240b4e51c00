import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';

const JSON_TYPE = 'application/json; charset=utf-8';

/**
 * How a service behaves: normally, slowly, not at all, with server errors, by cutting connections, or with wrong answers.
 */
export const behaviourSchema = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('normal') }),
  z.strictObject({ mode: z.literal('slow'), delayMs: z.int().min(0) }),
  z.strictObject({ mode: z.literal('hanging') }),
  z.strictObject({ mode: z.literal('failing'), status: z.int().min(400).max(599).default(500) }),
  z.strictObject({ mode: z.literal('cutting') }),
  z.strictObject({
    mode: z.literal('wrong'),
    status: z.int().min(200).max(599).default(200),
    contentType: z.string().default(JSON_TYPE),
    body: z.string().default('{"status":"maybe"}'),
  }),
]);

/** A behaviour with its defaults. */
export type Behaviour = z.output<typeof behaviourSchema>;
export type BehaviourInput = z.input<typeof behaviourSchema>;

/** The services whose behaviour can be changed. */
export const SERVICES = ['auth', 'notify'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** The body of `PUT /_dev/behaviour`; it applies to both services when none is given. */
export const behaviourRequestSchema = z.strictObject({
  service: z.enum(SERVICES).optional(),
  behaviour: behaviourSchema,
});

/**
 * Applies the behaviour to an answer.
 *
 * @returns whether to serve the request normally; false when it was answered wrongly or will never be answered
 */
export async function misbehave(behaviour: Behaviour, response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  if (behaviour.mode === 'slow') await sleep(behaviour.delayMs, undefined, { signal });
  if (behaviour.mode === 'normal' || behaviour.mode === 'slow') return true;
  if (behaviour.mode === 'cutting') response.socket?.destroy();
  if (behaviour.mode === 'failing') {
    end(response, behaviour.status, JSON_TYPE, '{"code":"InternalServerError","message":"Internal Server Error"}');
  }
  if (behaviour.mode === 'wrong') end(response, behaviour.status, behaviour.contentType, behaviour.body);
  return false;
}

function end(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType });
  response.end(body);
}
