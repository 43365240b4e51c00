/** What happened, in order. The end of it is part of a report of a violation. */
export class Journal {
  readonly #startedMs = Date.now();
  readonly #entries: { readonly atMs: number; readonly text: string }[] = [];
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** Records and prints. */
  say(text: string): void {
    this.note(text);
    this.#print(this.#line({ atMs: Date.now(), text }));
  }

  /** Records without printing. */
  note(text: string): void {
    this.#entries.push({ atMs: Date.now(), text });
    if (this.#entries.length > MAX_ENTRIES) this.#entries.splice(0, MAX_ENTRIES / 2);
  }

  /** The entries since an instant, oldest first. */
  since(fromMs: number): string[] {
    return this.#entries.filter(({ atMs }) => atMs >= fromMs).map((entry) => this.#line(entry));
  }

  #line({ atMs, text }: { readonly atMs: number; readonly text: string }): string {
    const seconds = ((atMs - this.#startedMs) / 1000).toFixed(1).padStart(6);
    return `${new Date(atMs).toISOString().slice(11, 23)} ${seconds} s  ${text}`;
  }
}

const MAX_ENTRIES = 20_000;
