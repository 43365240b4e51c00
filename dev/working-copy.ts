import { fileURLToPath } from 'node:url';

/** The working copy that this file is in. */
export const WORKING_COPY: string = fileURLToPath(new URL('../', import.meta.url));
