import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

const THEMES = ['auto', 'light', 'dark'] as const;
const KEY = 'pulse-agent-theme';

type Theme = (typeof THEMES)[number];

/** Shows the page as this tab showed it before. */
export function applyTheme(theme: Theme = storedTheme()): void {
  document.documentElement.dataset.theme = theme;
}

/** Switches between the colours of the system, light and dark ones. */
export function ThemeSwitch(): JSX.Element {
  const [theme, setTheme] = useState<Theme>(storedTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto';
  const change = (): void => {
    setTheme(next);
    applyTheme(next);
    try {
      sessionStorage.setItem(KEY, next);
    } catch {
      // Storage is switched off: the choice holds until the page is loaded again.
    }
  };
  return (
    <button type="button" class="quiet" onClick={change} title={`Colours: ${theme}. Switch to ${next}.`}>
      <svg class="theme-icon" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6" />
        <path
          d={theme === 'auto' ? 'M8 2a6 6 0 0 1 0 12Z' : theme === 'dark' ? 'M8 2a6 6 0 0 1 0 12A6 6 0 0 1 8 2Z' : ''}
        />
      </svg>
      <span class="hidden-text">
        Colours: {theme}. Switch to {next}.
      </span>
    </button>
  );
}

function storedTheme(): Theme {
  try {
    return THEMES.find((theme) => theme === sessionStorage.getItem(KEY)) ?? 'auto';
  } catch {
    return 'auto';
  }
}
