// Markdown as blocks of safe HTML and of code, so that a growing text is rendered anew only at its end.
import { marked, type Token, type Tokens } from 'marked';
import { lazy } from '../lazy';
import { type MathToken, mathExtensions } from './math-tokens';
import { sanitizeMath, sanitizeText } from './sanitize';

export type Block = { raw: string; formulas: boolean } & (
  | { kind: 'html'; html: string }
  | { kind: 'code'; code: string; language: string }
);

export const math = lazy(() => import('./math'));

const open = '\ue000'; // around the number of a formula, which takes the place when all else is sanitized
const close = '\ue001';
let formulas: MathToken[] = []; // of the block that is being rendered

marked.use({
  extensions: mathExtensions((token) => `${open}${formulas.push(token) - 1}${close}`),
  renderer: {
    image({ href, text }) {
      const link = document.createElement('a');
      link.href = href;
      link.textContent = text || href;
      return link.outerHTML;
    },
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
  },
});

/** `before`: the blocks of an earlier state of the same text, used again where they are the same. */
export function renderBlocks(text: string, before: Block[]): Block[] {
  const own = text.replaceAll(open, '').replaceAll(close, '');
  const tokens = marked.lexer(own).filter((token) => token.type !== 'space');
  const renderer = math.value.value;
  return tokens.map((token, i) => {
    const old = before[i];
    const waits = old?.formulas && renderer; // it has shown a formula as its source
    return old && old.raw === token.raw && !waits ? old : blockOf(token);
  });
}

function blockOf(token: Token): Block {
  if (token.type === 'code') {
    const { raw, text, lang = '' } = token as Tokens.Code;
    return { kind: 'code', raw, code: text, language: /^[\w+#.-]*/.exec(lang)![0].toLowerCase(), formulas: false };
  }
  formulas = [];
  const html = sanitizeText(marked.parser([token]));
  if (formulas.length === 0) return { kind: 'html', raw: token.raw, html, formulas: false };
  math.want();
  return { kind: 'html', raw: token.raw, html: withFormulas(html), formulas: math.value.value === null };
}

/** The formulas in their places: only in text, never in an attribute. */
function withFormulas(html: string): string {
  const room = document.createElement('template');
  room.innerHTML = html;
  const texts = document.createTreeWalker(room.content, NodeFilter.SHOW_TEXT);
  const found: Text[] = [];
  while (texts.nextNode()) found.push(texts.currentNode as Text);
  for (const node of found) {
    const parts = node.data.split(new RegExp(`${open}(\\d+)${close}`));
    if (parts.length > 1) node.replaceWith(...parts.map((part, i) => (i % 2 === 0 ? part : formula(Number(part)))));
  }
  return room.innerHTML;
}

function formula(at: number): Node {
  const { source, display, raw } = formulas[at]!;
  const markup = math.value.value?.renderMath(source, display) ?? null;
  const room = document.createElement('template');
  if (markup !== null) room.innerHTML = sanitizeMath(markup);
  if (room.content.firstElementChild) return room.content;
  const code = document.createElement('code');
  code.textContent = raw.trim();
  return code;
}
