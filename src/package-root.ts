/**
 * The folder of this package, with package.json and `config/` in it. It stays right in the bundle only from this depth:
 * one folder below the root.
 */
export const PACKAGE_ROOT: URL = new URL('../', import.meta.url);
