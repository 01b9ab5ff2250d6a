// pronk chat: a conversation in the terminal.
import { createInterface } from 'node:readline/promises';
import { Pronk } from '../api/node.js';
import type { ChatMessage } from '../api/openai/types.js';
import { messageOf, PronkError } from '../runtime/errors.js';
import { type Flags, loadOptionsOf, modelOf, textOf } from './options.js';
import { clearProgress, showNotice, showProgress } from './progress.js';

export async function chat(flags: Flags, rest: string[]): Promise<void> {
  if (rest.length > 0) throw new PronkError('bad-argument', `chat takes no '${rest[0]}'`);
  const options = { ...loadOptionsOf(flags), onProgress: showProgress, onNotice: showNotice };
  const engine = await Pronk.load(modelOf(flags), options);
  clearProgress();
  const system = textOf(flags, 'system');
  const messages: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' });
  try {
    lines.prompt();
    for await (const line of lines) {
      const said = line.trim();
      if (said === '/exit') break;
      if (said !== '') await answer(engine, messages, said);
      lines.prompt();
    }
  } finally {
    lines.close();
    await engine.unload();
  }
}

/** Ctrl-C ends the answer, not the conversation. What failed is told and taken back. */
async function answer(engine: Pronk, messages: ChatMessage[], said: string): Promise<void> {
  const abort = new AbortController();
  const onInterrupt = (): void => abort.abort();
  process.once('SIGINT', onInterrupt);
  messages.push({ role: 'user', content: said });
  let content = '';
  try {
    const stream = await engine.chat.completions.create({ messages, stream: true }, { signal: abort.signal });
    for await (const { choices } of stream) {
      const { content: text = '', reasoning_content: thought = '' } = choices[0]!.delta;
      content += text ?? '';
      process.stdout.write(`${thought}${text ?? ''}`);
    }
  } catch (error) {
    if (!abort.signal.aborted) process.stderr.write(`pronk: ${messageOf(error)}\n`);
  } finally {
    process.off('SIGINT', onInterrupt);
  }
  process.stdout.write('\n');
  if (content === '') messages.pop();
  else messages.push({ role: 'assistant', content });
}
