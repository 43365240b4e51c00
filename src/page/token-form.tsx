import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { keepToken } from './session-token.ts';

/** Asks for the operators' token. */
export function TokenForm({ reason }: { readonly reason: string | undefined }): JSX.Element {
  const [token, setToken] = useState('');
  const submit = (event: Event): void => {
    event.preventDefault();
    if (token.trim() !== '') keepToken(token.trim());
  };
  return (
    <form class="token-form panel" onSubmit={submit} aria-labelledby="token-title">
      <h1 id="token-title">Operators' token</h1>
      {reason !== undefined && (
        <p class="refusal" role="alert">
          {reason}
        </p>
      )}
      <p>
        The command <code>pulse-agent page</code> prints a link that has it. It is kept until this tab is closed.
      </p>
      <label>
        Token
        <input
          type="password"
          name="token"
          autocomplete="current-password"
          value={token}
          autofocus
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
      </label>
      <button type="submit" class="primary">
        Show the page
      </button>
    </form>
  );
}
