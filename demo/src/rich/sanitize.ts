// What may come out of a model's text: it is nobody's whom this page trusts.
import DOMPurify from 'dompurify';

// No class, id, name or style, so that nothing it writes can look like a part of the page or lie over it; no form; nothing
// that is fetched (images become links).
const textRules = {
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

// Formulas alone: neither links nor HTML in them, nor styles, which the page's policy would refuse.
const mathRules = {
  ALLOWED_TAGS: [
    ...[
      'math',
      'mrow',
      'mi',
      'mo',
      'mn',
      'ms',
      'mtext',
      'mspace',
      'mfrac',
      'msqrt',
      'mroot',
      'msub',
      'msup',
      'msubsup',
    ],
    ...['munder', 'mover', 'munderover', 'mmultiscripts', 'mprescripts', 'mtable', 'mtr', 'mtd', 'mpadded', 'mphantom'],
    ...['menclose', 'mstyle'],
  ],
  ALLOWED_ATTR: [
    ...['display', 'displaystyle', 'scriptlevel', 'mathvariant', 'stretchy', 'fence', 'separator', 'form', 'symmetric'],
    ...['largeop', 'movablelimits', 'accent', 'accentunder', 'linethickness', 'lspace', 'rspace', 'minsize', 'maxsize'],
    ...['width', 'height', 'depth', 'voffset', 'columnalign', 'rowspacing', 'columnspacing', 'columnspan', 'rowspan'],
    'notation',
  ],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

const codeRules = { ALLOWED_TAGS: ['span'], ALLOWED_ATTR: ['class'], ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false };

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  }
  // They scroll sideways where they are wide: the keyboard must reach them.
  if (node.tagName === 'PRE' || node.tagName === 'TABLE') node.setAttribute('tabindex', '0');
});

// Only the classes that highlight.js gives.
DOMPurify.addHook('uponSanitizeAttribute', (_node, attribute) => {
  if (attribute.attrName === 'class' && !/^(hljs-[\w-]+|language-\w+)( \w+_)*$/.test(attribute.attrValue)) {
    attribute.keepAttr = false;
  }
});

export const sanitizeText = (html: string): string => DOMPurify.sanitize(html, textRules);
export const sanitizeMath = (html: string): string => DOMPurify.sanitize(html, mathRules);
export const sanitizeCode = (html: string): string => DOMPurify.sanitize(html, codeRules);
