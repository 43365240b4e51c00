import type { Gauge } from 'prom-client';

/** Sets one value for each label, and removes the labels that have none: an unknown value has no sample. */
export function setEach<Label extends string>(
  gauge: Gauge<Label>,
  label: Label,
  counts: Readonly<Record<string, number>> | undefined,
): void {
  gauge.reset();
  for (const [value, count] of Object.entries(counts ?? {})) {
    gauge.set({ [label]: value } as Partial<Record<Label, string>>, count);
  }
}
