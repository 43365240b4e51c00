import { readFile } from 'node:fs/promises';
import scopeLibrary from 'taskcluster-lib-scopes';
import { parse } from 'yaml';
import * as z from 'zod';

/** The form of a clientId. */
export const CLIENT_ID_PATTERN = /^[A-Za-z0-9!@/:.+|_-]+$/;

const scopeList = z.array(
  z
    .string()
    .refine(scopeLibrary.validScope, 'must be printable ASCII')
    .refine((scope) => !scope.endsWith('**'), 'must not end with **'),
);

const clientSchema = z.strictObject({
  clientId: z.string().regex(CLIENT_ID_PATTERN),
  accessToken: z.string().regex(/^[a-zA-Z0-9_-]{22,66}$/),
  expires: z.union([z.iso.datetime(), z.iso.date()]).default('2100-01-01'),
  disabled: z.boolean().default(false),
  scopes: scopeList.default([]),
});

const roleSchema = z.strictObject({
  roleId: z.string().regex(/^[\x20-\x7e]+$/),
  scopes: scopeList.default([]),
});

const mailSchema = z.strictObject({
  denylisted: z.array(z.string()).default([]),
  silent: z.array(z.string()).default([]),
});

const chatSchema = z.strictObject({
  denylisted: z.array(z.string()).default([]),
  rooms: z.array(z.string()).default(['*']),
  slack: z.boolean().default(true),
});

const directorySchema = z.strictObject({
  clients: z.array(clientSchema).default([]),
  roles: z.array(roleSchema).default([]),
  mail: mailSchema.prefault({}),
  chat: chatSchema.prefault({}),
});

/** A Taskcluster client. `expires` is ISO 8601: a date, or a date with time in UTC. */
export type DevClient = z.output<typeof clientSchema>;

/** A role: the scopes that `assume:<roleId>` gives. */
export type DevRole = z.output<typeof roleSchema>;

/** The clients and roles of the stand-in, and its rules for mail, Matrix and Slack. */
export type Directory = z.output<typeof directorySchema>;

/** A directory before defaults: expiry in 2100, not disabled, no scopes. */
export type DirectoryInput = z.input<typeof directorySchema>;

/** The client with its defaults. @throws Error that names each fault */
export function parseClient(input: z.input<typeof clientSchema>): DevClient {
  return checked(clientSchema, input, 'The client');
}

/** The directory with its defaults. @throws Error that names each fault */
export function parseDirectory(input: unknown, source = 'The list of clients'): Directory {
  return checked(directorySchema, input, source);
}

/**
 * Reads clients, roles and mail rules from a YAML file.
 *
 * @throws Error when the file cannot be read, or that names each fault in it.
 */
export async function readDirectory(path: string): Promise<Directory> {
  return parseDirectory(parse(await readFile(path, 'utf8')) ?? {}, path);
}

function checked<T extends z.ZodType>(schema: T, input: unknown, source: string): z.output<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`);
  throw new Error(`${source} has faults. Correct them: ${faults.join('; ')}.`);
}
