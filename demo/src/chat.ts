// The conversation: sending, streaming, stopping, trying again.
import { batch, computed, signal } from '@preact/signals';
import { type FinishReason, type GenerationResult, PronkError } from 'pronk';
import { model, open, report, settled } from './model';
import { chatPrompt, type Prompt, storyPrompt, type Turn } from './prompt';
import { samplingOptions, settings } from './settings';
import { stored } from './storage';
import { runTool, splitCall, tools } from './tools';

export interface Figures {
  tokensPerSecond: number;
  firstTokenMs: number;
  tokens: number;
  finish: FinishReason;
  left: number; // turns that did not fit
}

export interface Message {
  id: number;
  role: 'user' | 'assistant' | 'tool';
  text: string;
  tools?: boolean; // of a user's: tools are offered from here on
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
    (message.role === 'user' || message.role === 'assistant' || message.role === 'tool')
  );
}

export const messages = stored<Message[]>('conversation', (found) =>
  Array.isArray(found) && found.every(isMessage) ? found : [],
);
export const draft = stored<string>('draft', (found) => (typeof found === 'string' ? found : ''));
/** The answer being written: 'reading' until its first token. */
export const answering = signal<'no' | 'reading' | 'writing'>('no');
export const storyMode = computed(() => model.value.at === 'ready' && model.value.engine.chatTemplate === null);

const toolRounds = 3; // calls in a row before the person has the word again

let stopCurrent: (() => void) | null = null;

function nextId(): number {
  return messages.value.reduce((last, message) => Math.max(last, message.id), 0) + 1;
}

export function send(): void {
  const text = draft.value;
  if (text.trim() === '' || answering.value !== 'no' || !open.value) return;
  batch(() => {
    draft.value = '';
    say(storyMode.value ? text : text.trim());
  });
}

/** Adds a message and has it answered; while the model is loading the answer waits for it. */
export function say(text: string, offerTools = false): void {
  if (answering.value !== 'no' || !open.value) return;
  const user: Message = { id: nextId(), role: 'user', text, story: false, figures: null };
  messages.value = [...messages.value, offerTools ? { ...user, tools: true } : user];
  void converse();
}

/** Writes the last answer anew. */
export function regenerate(): void {
  if (answering.value !== 'no' || model.value.at !== 'ready') return;
  const last = messages.value.at(-1);
  if (last?.role === 'assistant') messages.value = messages.value.slice(0, -1);
  void converse();
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
  const offered = messages.value.some((message) => message.tools) ? tools : [];
  return chatPrompt(engine, system ? [{ role: 'system', content: system }, ...turns] : turns, offered);
}

/** An answer; where it calls a tool, the tool's result and the answer to that. */
async function converse(): Promise<void> {
  for (let round = 0; round < toolRounds; round++) {
    await answer();
    const last = messages.value.at(-1);
    const made = last?.role === 'assistant' && last.figures?.finish === 'stop' && messages.value.some((m) => m.tools);
    const called = made ? splitCall(last.text) : null;
    if (!called || answering.value !== 'no') return;
    const result: Message = { id: nextId(), role: 'tool', text: runTool(called.call), story: false, figures: null };
    messages.value = [...messages.value, result];
  }
}

async function answer(continued?: Message): Promise<void> {
  if (!open.value || answering.value !== 'no') return;
  const abort = new AbortController();
  stopCurrent = () => abort.abort();
  answering.value = 'reading';
  let message: Message | undefined = continued;
  await settled(abort.signal);
  const state = model.value;
  try {
    if (state.at !== 'ready' || abort.signal.aborted) return;
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
    // A worker that crashed is started again by the next message; a device that came back too often is not.
    const gone = error instanceof PronkError && error.code === 'device-lost';
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
