// Markdown as safe HTML, block by block, so that a growing text is rendered anew only at its end.
import DOMPurify from 'dompurify';
import { marked } from 'marked';

export interface Block {
  raw: string;
  html: string;
}

// All that may come out of a model's text. No class, id, name or style, so that nothing it writes can look like a part of
// the page or lie over it; no form; nothing that is fetched (images become links).
const rules = {
  ALLOWED_TAGS: [
    ...['p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'blockquote', 'pre', 'code', 'ul', 'ol', 'li', 'a'],
    ...['strong', 'b', 'em', 'i', 'u', 's', 'del', 'ins', 'sub', 'sup', 'kbd', 'mark'],
    ...['table', 'thead', 'tbody', 'tr', 'th', 'td'],
  ],
  ALLOWED_ATTR: ['href', 'align', 'start'],
  ADD_URI_SAFE_ATTR: ['align', 'start'],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  }
  // They scroll sideways where they are wide: the keyboard must reach them.
  if (node.tagName === 'PRE' || node.tagName === 'TABLE') node.setAttribute('tabindex', '0');
});

marked.use({
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
  const tokens = marked.lexer(text).filter((token) => token.type !== 'space');
  return tokens.map((token, i) => {
    const old = before[i];
    if (old && old.raw === token.raw) return old;
    const html = DOMPurify.sanitize(marked.parser([token]), rules);
    return { raw: token.raw, html };
  });
}

export interface Thought {
  thinking: string | null;
  answer: string;
  open: boolean; // still thinking
}

/** Splits off the <think> part that reasoning models begin with. */
export function splitThought(text: string): Thought {
  const start = /^\s*<think>/.exec(text);
  if (!start) return { thinking: null, answer: text, open: false };
  const end = text.indexOf('</think>');
  if (end < 0) return { thinking: text.slice(start[0].length).trim(), answer: '', open: true };
  return { thinking: text.slice(start[0].length, end).trim(), answer: text.slice(end + 8), open: false };
}
