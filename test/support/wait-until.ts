/** How long a wait takes at most, in ms: longer than a busy machine takes for anything. */
const PATIENCE_MS = 60_000;

/** Polls until `isSo` is true. Prefer a wait for an event or a log line. */
export async function waitUntil(isSo: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (Date.now() > deadlineMs) throw new Error(`Not in ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
