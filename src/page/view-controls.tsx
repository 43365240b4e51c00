import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

/** One of several ways to see a list. */
export interface Choice {
  readonly label: string;
  readonly href: string;
  readonly isChosen: boolean;
  readonly count?: number | undefined;
}

/** Links of which one is chosen. */
export function Choices({
  label,
  choices,
}: {
  readonly label: string;
  readonly choices: readonly Choice[];
}): JSX.Element {
  return (
    <nav class="choices" aria-label={label}>
      {choices.map(({ label: text, href, isChosen }) => (
        <a key={text} href={href} aria-current={isChosen ? 'true' : undefined}>
          {text}
        </a>
      ))}
    </nav>
  );
}

const TYPING_PAUSE_MS = 250;

interface SearchFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onSearch: (text: string) => void;
}

/** A text to search for. It searches when typing pauses. */
export function SearchField({ label, value, onSearch }: SearchFieldProps): JSX.Element {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const isTyping = useRef(false);
  useEffect(() => {
    if (!isTyping.current) setText(value);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const search = (next: string, pauseMs: number): void => {
    setText(next);
    isTyping.current = true;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      isTyping.current = false;
      onSearch(next.trim());
    }, pauseMs);
  };
  return (
    <label class="search-field">
      <span class="hidden-text">{label}</span>
      <input
        type="search"
        placeholder={label}
        value={text}
        maxLength={300}
        autocomplete="off"
        spellcheck={false}
        onInput={({ currentTarget }) => search(currentTarget.value, TYPING_PAUSE_MS)}
        onKeyDown={({ key }) => key === 'Enter' && search(text, 0)}
      />
    </label>
  );
}

interface SelectFieldProps {
  readonly label: string;
  readonly value: string;
  /** Shown for the empty value. */
  readonly all: string;
  readonly options: readonly string[];
  readonly onSelect: (value: string) => void;
}

/** One of several values, or all. */
export function SelectField({ label, value, all, options, onSelect }: SelectFieldProps): JSX.Element {
  return (
    <label class="select-field">
      <span class="hidden-text">{label}</span>
      <select value={value} onChange={({ currentTarget }) => onSelect(currentTarget.value)}>
        <option value="">{all}</option>
        {options.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    </label>
  );
}
