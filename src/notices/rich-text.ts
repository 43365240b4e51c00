/** A piece of a line: text of our own, a code span, which may hold anything, or text of our own in bold. */
export type Inline = string | { readonly code: string; readonly longest?: number } | { readonly bold: string };

/** A part of a message. */
export type Block =
  | { readonly is: 'paragraph'; readonly text: readonly Inline[] }
  | { readonly is: 'list'; readonly intro: readonly Inline[]; readonly items: readonly (readonly Inline[])[] }
  | { readonly is: 'rule' };

/** The forms in which a message can be written. */
export type RichTextFormat = 'markdown' | 'plain' | 'html' | 'slack';

interface Renderer {
  readonly inline: (piece: Inline) => string;
  readonly paragraph: (text: string) => string;
  readonly list: (intro: string, items: readonly string[]) => string;
  readonly rule: string;
}

const RENDERERS: Readonly<Record<RichTextFormat, Renderer>> = {
  markdown: {
    inline: (piece) => {
      if (typeof piece === 'string') return piece;
      return 'code' in piece ? `\`${shown(piece)}\`` : `**${piece.bold}**`;
    },
    paragraph: (text) => text,
    list: (intro, items) => [intro, ...items.map((item) => `- ${item}`)].join('\n'),
    rule: '---',
  },
  plain: {
    inline: (piece) => {
      if (typeof piece === 'string') return piece;
      return 'code' in piece ? `\`${shownInChat(piece)}\`` : piece.bold;
    },
    paragraph: (text) => text,
    list: (intro, items) => [intro, ...items.map((item) => `- ${item}`)].join('\n'),
    rule: '---',
  },
  html: {
    inline: (piece) => {
      if (typeof piece === 'string') return escapeHtml(piece);
      if ('code' in piece) return `<code>${escapeHtml(shownInChat(piece))}</code>`;
      return `<strong>${escapeHtml(piece.bold)}</strong>`;
    },
    paragraph: (text) => `<p>${text}</p>`,
    list: (intro, items) => `<p>${intro}</p>\n<ul>${items.map((item) => `<li>${item}</li>`).join('')}</ul>`,
    rule: '<hr>',
  },
  slack: {
    inline: (piece) => {
      if (typeof piece === 'string') return escapeSlack(piece);
      if ('code' in piece) return `\`${escapeSlack(shownInChat(piece))}\``;
      return `*${escapeSlack(piece.bold)}*`;
    },
    paragraph: (text) => text,
    list: (intro, items) => [intro, ...items.map((item) => `• ${item}`)].join('\n'),
    rule: '———',
  },
};

/**
 * Makes a line of text. Only what is in {@link code} may come from others.
 *
 * @example
 * line`The queue ${code(queue)} held ${bold('4,100 messages')}.`;
 */
export function line(texts: TemplateStringsArray, ...pieces: readonly Inline[]): Inline[] {
  return texts.flatMap((text, index) => [text, ...pieces.slice(index, index + 1)]).filter((piece) => piece !== '');
}

/** A paragraph; see {@link line}. */
export function paragraph(texts: TemplateStringsArray, ...pieces: readonly Inline[]): Block {
  return { is: 'paragraph', text: line(texts, ...pieces) };
}

/** @param longest the most characters that are shown; all when absent */
export function code(text: string, longest?: number): Inline {
  return longest === undefined ? { code: text } : { code: text, longest };
}

export function bold(text: string): Inline {
  return { bold: text };
}

/** Writes a message in one of the forms. */
export function renderBlocks(blocks: readonly Block[], format: RichTextFormat): string {
  const { inline, paragraph: wrap, list, rule } = RENDERERS[format];
  const text = (pieces: readonly Inline[]): string => pieces.map(inline).join('');
  const texts = blocks.map((block) => {
    switch (block.is) {
      case 'paragraph':
        return wrap(text(block.text));
      case 'list':
        return list(text(block.intro), block.items.map(text));
      case 'rule':
        return rule;
    }
  });
  return texts.join(format === 'html' ? '\n' : '\n\n');
}

/**
 * The text on one line. Each character that could end a code span, be invisible, change the direction of writing or make a
 * link is replaced by its code point: mail programs make links of `scheme://` and `www.` in any text.
 */
export function visible(text: string): string {
  return text
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}`<>&\\]|(?! )\p{Zs}|(?<=:\/)\/|(?<=www)\./giu, codePoint)
    .replaceAll(/^ | $| (?= )/g, codePoint);
}

/** Counts whole characters, as the notify service does. */
export function cut(text: string, longest: number): string {
  const characters = Array.from(text);
  return characters.length <= longest ? text : `${characters.slice(0, longest - 1).join('')}…`;
}

type CodeSpan = Extract<Inline, { readonly code: string }>;

function shown({ code: text, longest = Infinity }: CodeSpan): string {
  return cut(visible(text), longest);
}

/** The same where people are mentioned with an `@`: `@room` or `@here` in a name notifies no one. */
function shownInChat({ code: text, longest = Infinity }: CodeSpan): string {
  return cut(visible(text).replaceAll('@', codePoint), longest);
}

function codePoint(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

function escapeHtml(text: string): string {
  return escapeSlack(text).replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}

/** Slack reads commands between `<` and `>`, such as `<!channel>`, and entities. */
function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
