import type { JSX } from 'preact';
import { markOf, type Shape, type Tone } from './state-tones.ts';

const SHAPES: Readonly<Record<Shape, JSX.Element>> = {
  disc: <circle cx="6" cy="6" r="4.5" />,
  ring: <circle cx="6" cy="6" r="3.75" class="hollow" />,
  triangle: <path d="M6 1.2 11.2 10.4H.8Z" />,
  square: <rect x="1.6" y="1.6" width="8.8" height="8.8" rx="1.4" />,
  diamond: <path d="M6 .9 11.1 6 6 11.1.9 6Z" />,
};

/** A shape in the colour of a tone. It says nothing by itself: a text is beside it. */
export function ToneShape({ tone, shape }: { readonly tone: Tone; readonly shape: Shape }): JSX.Element {
  return (
    <svg class={`shape ${tone}`} viewBox="0 0 12 12" aria-hidden="true">
      {SHAPES[shape]}
    </svg>
  );
}

/** A state: its shape and its name. */
export function StateMark({ state, label }: { readonly state: string; readonly label?: string }): JSX.Element {
  const mark = markOf(state);
  return (
    <span class="state-mark">
      <ToneShape tone={mark.tone} shape={mark.shape} />
      {label ?? mark.label}
    </span>
  );
}
