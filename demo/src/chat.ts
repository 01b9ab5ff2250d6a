// What is said: sending, streaming, stopping, trying again.
import { batch, computed, effect, signal } from '@preact/signals';
import { type GenerationResult, type Pronk, PronkError } from 'pronk';
import { beginConversation, conversationId, draft, messages, reopenConversation } from './conversation';
import type { Figures, Message } from './message';
import { model, notice, open, problem, report, settled } from './model';
import { chatPrompt, type Prompt, plainEnd, plainTemplate, storyPrompt } from './prompt';
import { samplingOptions, settings } from './settings';
import { renderTemplate, TemplateError } from './template';
import { runTool, splitCall, tools } from './tools';

/** The answer being written: 'reading' until its first token. */
export const answering = signal<'no' | 'reading' | 'writing'>('no');
export const storyMode = computed(() => model.value.at === 'ready' && model.value.engine.chatTemplate === null);
/** The engine whose chat template cannot be used, and whether its person has chosen to go on without. */
export const brokenTemplate = signal<{ engine: Pronk; goOnWithout: boolean } | null>(null);

const toolRounds = 3; // calls in a row before the person has the word again

let stopCurrent: (() => void) | null = null;
let lastPrompt: { engine: Pronk; conversation: string; firstMessage: number } | null = null;

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

/** Puts the conversation away and begins another; what is written and not sent comes along. */
export async function newChat(): Promise<void> {
  await stopped();
  await beginConversation();
}

/** Puts the conversation away and opens a kept one. */
export async function openConversation(id: string): Promise<void> {
  await stopped();
  if (!(await reopenConversation(id))) notice.value = 'This conversation is open in another tab, or gone.';
}

/** Until the answer that is being written, which is told to stop, has its end. */
async function stopped(): Promise<void> {
  stop();
  let end: (() => void) | undefined;
  await new Promise<void>((resolve) => {
    end = effect(() => {
      if (answering.value === 'no') resolve();
    });
  });
  end?.();
}

/** Has the last message answered as plain text, for the model's chat template cannot be used. */
export function answerWithoutTemplate(): void {
  if (brokenTemplate.value) brokenTemplate.value = { ...brokenTemplate.value, goOnWithout: true };
  regenerate();
}

function replace(id: number, part: Partial<Message>): void {
  messages.value = messages.value.map((message) => (message.id === id ? { ...message, ...part } : message));
}

const isPlain = (engine: Pronk): boolean => brokenTemplate.value?.engine === engine && brokenTemplate.value.goOnWithout;

async function promptFor(engine: Pronk, continued: Message | undefined): Promise<Prompt> {
  const said = messages.value.filter((message) => message !== continued);
  if (engine.chatTemplate === null) {
    const opening = said.at(-1)?.text ?? '';
    return storyPrompt(engine, opening + (continued?.text ?? ''));
  }
  const goesOn = lastPrompt?.engine === engine && lastPrompt.conversation === conversationId();
  const chat = {
    system: settings.value.system.trim(),
    turns: said.map(({ role, text }) => ({ role, content: text })),
    tools: said.some((message) => message.tools) ? tools : [],
    template: isPlain(engine) ? plainTemplate : engine.chatTemplate,
    left: goesOn ? said.filter(({ id }) => id < lastPrompt!.firstMessage).length : 0,
  };
  const prompt = await chatPrompt(engine, chat, (template, values) => renderTemplate(engine, template, values));
  lastPrompt = { engine, conversation: conversationId(), firstMessage: said[prompt.left]!.id };
  return prompt;
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
  problem.value = null;
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
    let ended = false; // by the words that begin the other's part
    for await (const { text } of generation) {
      answering.value = 'writing';
      ended = writer.add(text, isPlain(state.engine) ? plainEnd : undefined);
      if (ended) generation.cancel();
    }
    writer.flush();
    const figures = figuresOf(await generation.result, prompt.left);
    replace(id, { figures: ended ? { ...figures, finish: 'stop' } : figures });
  } catch (error) {
    // A worker that crashed is started again by the next message; a device that came back too often is not.
    const gone = error instanceof PronkError && error.code === 'device-lost';
    if (gone && model.value === state) model.value = { at: 'none' };
    if (error instanceof TemplateError && state.at === 'ready') {
      brokenTemplate.value = { engine: state.engine, goOnWithout: false };
    }
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
function smoothWriter(
  start: string,
  show: (text: string) => void,
): { add(text: string, end?: RegExp): boolean; flush(): void } {
  let text = start;
  let timer: number | undefined;
  let ended = false;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    show(text);
  };
  return {
    /** True from when `end` was met; nothing is added then. */
    add(piece, end) {
      if (ended) return true;
      text += piece;
      const at = end ? text.search(end) : -1;
      if (at >= 0) {
        text = text.slice(0, at);
        ended = true;
      }
      timer ??= window.setTimeout(flush, 40);
      return ended;
    },
    flush,
  };
}
