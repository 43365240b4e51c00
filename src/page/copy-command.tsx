import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';

const SHOWN_MS = 2000;

/** A command with a button that copies it. */
export function CopyCommand({ what, command }: { readonly what: string; readonly command: string }): JSX.Element {
  const [outcome, setOutcome] = useState<string>();
  useEffect(() => {
    if (outcome === undefined) return undefined;
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(command);
      setOutcome('copied');
    } catch {
      // Without TLS, browsers let only loopback pages write to the clipboard.
      setOutcome(copyBySelection(command) ? 'copied' : 'select it to copy');
    }
  };
  return (
    <div class="command">
      <p class="command-what">{what}</p>
      <div class="command-line">
        <code tabIndex={0} role="group" aria-label={`Command: ${what}`}>
          {command}
        </code>
        <button type="button" onClick={() => void copy()} aria-label={`Copy the command: ${what}`}>
          {outcome ?? 'copy'}
        </button>
      </div>
      <span class="hidden-text" role="status">
        {outcome === undefined ? '' : `The command: ${outcome}`}
      </span>
    </div>
  );
}

function copyBySelection(text: string): boolean {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'hidden-text';
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  // The only way without TLS. Nothing replaces it there.
  const isCopied = document.execCommand('copy');
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return isCopied;
}
