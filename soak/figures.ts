/** What a run counts. */
export class Figures {
  readonly #counts = new Map<string, number>();
  #servedMs: number | undefined;
  #longestGapMs = 0;
  #longestGapEndedMs = 0;

  /** Counts one more. */
  count(name: string, by = 1): void {
    this.#counts.set(name, this.of(name) + by);
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  /** Those of these names that were never counted. */
  missing(names: readonly string[]): string[] {
    return names.filter((name) => this.of(name) === 0);
  }

  /** A claim was answered with credentials. */
  served(nowMs: number): void {
    this.count('claims served');
    this.gapUntil(nowMs);
    this.#servedMs = nowMs;
  }

  /** The gaps count from the first claim until now. */
  gapUntil(nowMs: number): void {
    const gapMs = nowMs - (this.#servedMs ?? nowMs);
    if (gapMs <= this.#longestGapMs) return;
    this.#longestGapMs = gapMs;
    this.#longestGapEndedMs = nowMs;
  }

  /** The longest time without a served claim. */
  get longestGap(): { readonly ms: number; readonly endedMs: number } {
    return { ms: this.#longestGapMs, endedMs: this.#longestGapEndedMs };
  }

  /** The lines of the report, sorted by name. */
  lines(): string[] {
    const names = [...this.#counts.keys()].toSorted();
    const width = Math.max(...names.map((name) => name.length), 'longest gap without a served claim'.length);
    const line = (name: string, value: string): string => `${name.padEnd(width)}  ${value}`;
    const seconds = (this.#longestGapMs / 1000).toFixed(1);
    const until = new Date(this.#longestGapEndedMs).toISOString().slice(11, 19);
    return [
      ...names.map((name) => line(name, this.of(name).toLocaleString('en-US'))),
      line('longest gap without a served claim', `${seconds} s, until ${until}`),
    ];
  }
}
