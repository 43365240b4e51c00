/** The parameters of a request, or what is wrong with them. */
export type RequestParameters =
  | { readonly parameters: Readonly<Record<string, string>> }
  | { readonly problem: string };

/**
 * Reads the parameters of a query, each of which may be there once.
 *
 * @param named those that the path has
 */
export function readParameters(
  query: string | undefined,
  named: Readonly<Record<string, string>> = {},
): RequestParameters {
  // Without a prototype, so that each name is one like any other.
  const parameters: Record<string, string> = Object.assign(Object.create(null), named);
  for (const part of (query ?? '').split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decode(equals === -1 ? part : part.slice(0, equals));
    const value = decode(equals === -1 ? '' : part.slice(equals + 1));
    if (name === undefined || value === undefined) {
      return { problem: 'The query has a % that begins no character of UTF-8.' };
    }
    if (name in parameters) return { problem: `The parameter ${name} is there twice.` };
    parameters[name] = value;
  }
  return { parameters };
}

/**
 * The parameters that a path has if it is of this form; undefined: it is not.
 *
 * @example
 * matchPath('/api/v1/namespaces/:name', '/api/v1/namespaces/taskcluster-builds'); // { name: 'taskcluster-builds' }
 */
export function matchPath(form: string, path: string): Readonly<Record<string, string>> | undefined {
  const colon = form.lastIndexOf('/:');
  if (colon === -1) return form === path ? {} : undefined;
  const folder = form.slice(0, colon + 1);
  if (!path.startsWith(folder)) return undefined;
  const rest = path.slice(folder.length);
  // A + stands for itself in a path.
  const value = rest === '' || rest.includes('/') ? undefined : decode(rest.replaceAll('+', '%2B'));
  return value === undefined ? undefined : { [form.slice(colon + 2)]: value };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
