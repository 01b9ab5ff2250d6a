import { useMemo } from 'preact/hooks';
import { lazy } from '../lazy';
import { sanitizeCode } from '../rich/sanitize';
import { CopyButton } from './copy-button';

const highlighter = lazy(() => import('../rich/highlight'));
const longest = 50_000; // characters that are coloured

export function CodeBlock({ code, language }: { code: string; language: string }) {
  if (language !== '') highlighter.want();
  const loaded = highlighter.value.value;
  const html = useMemo(() => {
    const made = code.length <= longest ? loaded?.highlight(code, language) : null;
    return made ? sanitizeCode(made) : null;
  }, [code, language, loaded]);
  return (
    <div class="code-block">
      <div class="code-head">
        <span>{language || 'text'}</span>
        <CopyButton text={code} label="Copy code" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and the keyboard must reach it. */}
      <pre tabIndex={0}>
        {html === null ? <code>{code}</code> : <code dangerouslySetInnerHTML={{ __html: html }} />}
      </pre>
    </div>
  );
}
