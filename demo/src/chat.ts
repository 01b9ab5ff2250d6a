// The conversation: sending, streaming, stopping, trying again.
import { batch, computed, signal } from '@preact/signals';
import { PronkError, type FinishReason, type GenerationResult } from 'pronk';
import { model, report } from './model';
import { chatPrompt, storyPrompt, type Prompt, type Turn } from './prompt';
import { samplingOptions, settings } from './settings';
import { stored } from './storage';

export interface Figures {
  tokensPerSecond: number;
  firstTokenMs: number;
  tokens: number;
  finish: FinishReason;
  left: number; // turns that did not fit
}

export interface Message {
  id: number;
  role: 'user' | 'assistant';
  text: string;
  story: boolean; // an assistant's message that continues the text of the user's before it
  figures: Figures | null;
}

function isMessage(found: unknown): found is Message {
  const message = found as Message | null;
  return (
    typeof message === 'object' &&
    message !== null &&
    typeof message.id === 'number' &&
    typeof message.text === 'string' &&
    (message.role === 'user' || message.role === 'assistant')
  );
}

export const messages = stored<Message[]>('conversation', (found) =>
  Array.isArray(found) && found.every(isMessage) ? found : [],
);
export const draft = stored<string>('draft', (found) => (typeof found === 'string' ? found : ''));
/** The answer being written: 'reading' until its first token. */
export const answering = signal<'no' | 'reading' | 'writing'>('no');
export const storyMode = computed(() => model.value.at === 'ready' && model.value.engine.chatTemplate === null);

let stopCurrent: (() => void) | null = null;

function nextId(): number {
  return messages.value.reduce((last, message) => Math.max(last, message.id), 0) + 1;
}

export function send(): void {
  const text = draft.value;
  if (text.trim() === '' || answering.value !== 'no' || model.value.at !== 'ready') return;
  const story = storyMode.value;
  const user: Message = { id: nextId(), role: 'user', text: story ? text : text.trim(), story: false, figures: null };
  batch(() => {
    messages.value = [...messages.value, user];
    draft.value = '';
  });
  void answer();
}

/** Writes the last answer anew. */
export function regenerate(): void {
  if (answering.value !== 'no' || model.value.at !== 'ready') return;
  const last = messages.value.at(-1);
  if (last?.role === 'assistant') messages.value = messages.value.slice(0, -1);
  void answer();
}

/** Lets a story go on where it stopped. */
export function goOn(): void {
  const last = messages.value.at(-1);
  if (last?.role === 'assistant' && last.story) void answer(last);
}

export function stop(): void {
  stopCurrent?.();
}

export function newChat(): void {
  stop();
  messages.value = [];
}

function replace(id: number, part: Partial<Message>): void {
  messages.value = messages.value.map((message) => (message.id === id ? { ...message, ...part } : message));
}

function promptFor(engine: Parameters<typeof storyPrompt>[0], continued: Message | undefined): Promise<Prompt> {
  const said = messages.value.filter((message) => message !== continued);
  if (engine.chatTemplate === null) {
    const opening = said.at(-1)?.text ?? '';
    return storyPrompt(engine, opening + (continued?.text ?? ''));
  }
  const turns: Turn[] = said.map(({ role, text }) => ({ role, content: text }));
  const system = settings.value.system.trim();
  return chatPrompt(engine, system ? [{ role: 'system', content: system }, ...turns] : turns);
}

async function answer(continued?: Message): Promise<void> {
  const state = model.value;
  if (state.at !== 'ready' || answering.value !== 'no') return;
  const abort = new AbortController();
  stopCurrent = () => abort.abort();
  answering.value = 'reading';
  let message: Message | undefined = continued;
  try {
    const prompt = await promptFor(state.engine, continued);
    if (abort.signal.aborted) return;
    if (!message) {
      message = { id: nextId(), role: 'assistant', text: '', story: storyMode.value, figures: null };
      messages.value = [...messages.value, message];
    }
    const { id } = message;
    const writer = smoothWriter(message.text, (text) => replace(id, { text }));
    const generation = state.engine.generate(prompt.tokens, samplingOptions());
    stopCurrent = () => generation.cancel();
    for await (const { text } of generation) {
      answering.value = 'writing';
      writer.add(text);
    }
    writer.flush();
    replace(id, { figures: figuresOf(await generation.result, prompt.left) });
  } catch (error) {
    const gone = error instanceof PronkError && ['device-lost', 'worker-crashed'].includes(error.code);
    if (gone && model.value === state) model.value = { at: 'none' };
    report('The answer could not be written', error);
    if (message && messages.value.find(({ id }) => id === message!.id)?.text === '') {
      messages.value = messages.value.filter(({ id }) => id !== message!.id);
    }
  } finally {
    stopCurrent = null;
    answering.value = 'no';
  }
}

function figuresOf(result: GenerationResult, left: number): Figures {
  const { tokensPerSecond, firstTokenMs } = result.timings;
  return { tokensPerSecond, firstTokenMs, tokens: result.generatedTokens, finish: result.finishReason, left };
}

/** Gathers pieces and shows them once a frame: a fast model writes more often than a screen draws. */
function smoothWriter(start: string, show: (text: string) => void): { add(text: string): void; flush(): void } {
  let text = start;
  let timer: number | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    show(text);
  };
  return {
    add(piece) {
      text += piece;
      timer ??= window.setTimeout(flush, 40);
    },
    flush,
  };
}
