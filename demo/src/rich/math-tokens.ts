// Formulas in Markdown: $…$ and \(…\) in a line; $$…$$ and \[…\] by themselves.
import type { TokenizerAndRendererExtension, Tokens } from 'marked';

export interface MathToken extends Tokens.Generic {
  type: 'math' | 'mathBlock';
  source: string;
  display: boolean;
}

// A dollar sign is one of money where a space follows it, or a digit follows the second.
const inline = [
  { form: /^\$\$([^$]+?)\$\$/, display: true },
  { form: /^\$(?!\s)((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)/, display: false },
  { form: /^\\\((.+?)\\\)/s, display: false },
  { form: /^\\\[(.+?)\\\]/s, display: true },
];
const block = [/^\$\$\s*\n?(.+?)\n?\s*\$\$[ \t]*(?:\n+|$)/s, /^\\\[\s*\n?(.+?)\n?\s*\\\][ \t]*(?:\n+|$)/s];

/** renderer: the HTML that stands in the place of a formula. */
export function mathExtensions(renderer: (token: MathToken) => string): TokenizerAndRendererExtension[] {
  const tokenOf = (type: MathToken['type'], match: RegExpExecArray, display: boolean): MathToken => ({
    type,
    raw: match[0],
    source: match[1]!.trim(),
    display,
  });
  const rendered = (token: Tokens.Generic): string => renderer(token as MathToken);
  return [
    {
      name: 'mathBlock',
      level: 'block',
      start: (text) => /\$\$|\\\[/.exec(text)?.index,
      tokenizer(text) {
        for (const form of block) {
          const match = form.exec(text);
          if (match) return tokenOf('mathBlock', match, true);
        }
      },
      renderer: rendered,
    },
    {
      name: 'math',
      level: 'inline',
      start: (text) => /\$|\\[([]/.exec(text)?.index,
      tokenizer(text) {
        for (const { form, display } of inline) {
          const match = form.exec(text);
          if (match) return tokenOf('math', match, display);
        }
      },
      renderer: rendered,
    },
  ];
}
