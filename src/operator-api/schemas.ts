/** The answers of the operators' API and their queries. The page takes its types from here. */
export type * from './audit-schemas.ts';
export type * from './event-schemas.ts';
export type * from './health-schemas.ts';
export type * from './namespace-schemas.ts';
export type * from './plan-schemas.ts';
export type * from './queue-schemas.ts';
