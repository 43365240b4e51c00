import type * as z from 'zod';
import type { ManagementCallOptions } from './management-http.ts';

/** What to read from the management API: the schema of a resource, or of each element of a listing, and its path. */
export type ReadCall<T> = [
  schema: z.ZodType<T>,
  path: string[],
  options?: ManagementCallOptions,
  query?: Record<string, string>,
];

/** The ways to read from the management API, over which the calls of one subject are made. */
export interface ManagementReads {
  /** GETs a resource; undefined when it does not exist. */
  readonly find: <T>(...call: ReadCall<T>) => Promise<T | undefined>;
  /** GETs a resource that always exists: a wrong address must not look like an empty broker. */
  readonly get: <T>(...call: ReadCall<T>) => Promise<T>;
  /** GETs a listing. */
  readonly list: <T>(...call: ReadCall<T>) => Promise<T[]>;
  /** GETs a listing, and visits each element as it arrives; rejects with what `visit` throws. */
  readonly visitAll: <T>(
    schema: z.ZodType<T>,
    path: string[],
    visit: (listed: T) => void,
    options?: ManagementCallOptions,
    query?: Record<string, string>,
  ) => Promise<void>;
}
