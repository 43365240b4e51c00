import { fileURLToPath } from 'node:url';

/** The path of the working copy. */
export const WORKING_COPY: string = fileURLToPath(new URL('../', import.meta.url));
