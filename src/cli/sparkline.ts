const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A small diagram of amounts, from 0 to the largest of them; `·` stands for an unknown one. */
export function sparkline(amounts: readonly (number | null)[]): string {
  const largest = Math.max(...amounts.map((amount) => amount ?? 0));
  return amounts
    .map((amount) => {
      if (amount === null) return '·';
      return BARS[largest === 0 ? 0 : Math.round((amount / largest) * (BARS.length - 1))];
    })
    .join('');
}
