import { useMemo, useRef } from 'preact/hooks';
import { type Block, math, renderBlocks } from '../rich/markdown';
import { CodeBlock } from './code-block';

export function Markdown({ text, writing }: { text: string; writing: boolean }) {
  const before = useRef<Block[]>([]);
  const loaded = math.value.value;
  const blocks = useMemo(() => (before.current = renderBlocks(text, before.current)), [text, loaded]);
  return (
    <div class={writing ? 'prose writing' : 'prose'}>
      {blocks.map((block, i) =>
        block.kind === 'code' ? (
          <CodeBlock key={i} code={block.code} language={block.language} />
        ) : (
          <div key={i} class="block" dangerouslySetInnerHTML={{ __html: block.html }} />
        ),
      )}
      {writing && blocks.length === 0 && <span class="dots" role="img" aria-label="Reading" />}
    </div>
  );
}
