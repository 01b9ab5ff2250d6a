// Markdown as safe HTML, block by block, so that a growing text is rendered anew only at its end.
import DOMPurify from 'dompurify';
import { marked } from 'marked';

export interface Block {
  raw: string;
  html: string;
}

// Images would be fetched from elsewhere: nothing a model writes may make the page send something.
const rules = {
  FORBID_TAGS: [
    'img',
    'picture',
    'audio',
    'video',
    'source',
    'track',
    'form',
    'input',
    'button',
    'textarea',
    'style',
    'svg',
  ],
  FORBID_ATTR: ['style', 'srcset', 'background'],
};

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer nofollow');
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
