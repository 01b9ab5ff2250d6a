// What is said: sending, streaming, stopping, trying again.
import { batch, computed, signal } from '@preact/signals';
import { type GenerationResult, type Pronk, PronkError } from 'pronk';
import { atMostEvery, streamAnswer } from './answer';
import * as conversation from './conversation';
import { beginConversation, conversationId, draft, messages, reopenConversation } from './conversation';
import type { Figures, Message } from './message';
import { busy, model, open, settled, until } from './model';
import { notice, problem, report } from './problems';
import { type Chat, chatRequest, leftOut, storyPrompt } from './prompt';
import { sampling, temperature } from './sampling';
import { countWaiting, sessionOf } from './sessions';
import { noteSpeed } from './speed';
import { runTool, tools } from './tools';

/** The answer being written: 'reading' until its first token. */
export const answering = signal<'no' | 'reading' | 'writing'>('no');
/** Tokens of the answer being written, and about how many its prompt has. */
export const written = signal(0);
const promptTokens = signal(0);
/** Tokens of the context in use. */
export const contextUsed = computed(() => {
  if (answering.value !== 'no') return promptTokens.value + written.value;
  return messages.value.findLast(({ figures }) => figures !== null)?.figures?.context ?? 0;
});
export const storyMode = computed(() => model.value.at === 'ready' && model.value.engine.chatTemplate === null);
/** The engine whose chat template cannot be used, and whether its person has chosen to go on without. */
export const brokenTemplate = signal<{ engine: Pronk; goOnWithout: boolean } | null>(null);

const toolRounds = 3; // calls in a row before the person has the word again

let stopCurrent: (() => void) | null = null;
const cuts = new WeakMap<Pronk, Map<string, number>>(); // the first message of each conversation's last prompt

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
  conversation.add({ role: 'user', text, story: false, figures: null, ...(offerTools && { tools: true }) });
  void converse();
}

/** Says something else in place of a message, on a branch of its own. */
export function sayInstead(message: Message, text: string): void {
  if (answering.value !== 'no' || !open.value || text.trim() === '') return;
  conversation.showUpTo(message.parent);
  say(text.trim(), message.tools);
}

/** Writes the last answer anew, on a branch of its own. */
export async function regenerate(): Promise<void> {
  if (answering.value !== 'no' || model.value.at !== 'ready') return;
  const last = messages.value.at(-1);
  if (last?.role !== 'assistant') return converse();
  conversation.showUpTo(last.parent);
  await converse();
  if (messages.value.at(-1)?.id === last.parent) conversation.showUpTo(last.id); // there is none
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
  if (!(await reopenConversation(id, stopped))) notice.value = 'This conversation is open in another tab, or gone.';
}

/** Until the answer that is being written, which is told to stop, has its end. */
function stopped(): Promise<void> {
  stop();
  return until(() => answering.value === 'no');
}

/** Has the last message answered as plain text, for the model's chat template cannot be used. */
export function answerWithoutTemplate(): void {
  if (brokenTemplate.value) brokenTemplate.value = { ...brokenTemplate.value, goOnWithout: true };
  void regenerate();
}

const isPlain = (engine: Pronk): boolean => brokenTemplate.value?.engine === engine && brokenTemplate.value.goOnWithout;

/** An answer; where it calls tools, their results and the answer to those. */
async function converse(): Promise<void> {
  for (let round = 0; round < toolRounds; round++) {
    await answer();
    const last = messages.value.at(-1);
    const calls = last?.role === 'assistant' && last.figures?.finish === 'stop' ? last.calls : undefined;
    if (!calls || answering.value !== 'no') return;
    for (const call of calls) {
      conversation.add({ role: 'tool', text: runTool(call), callId: call.id, story: false, figures: null });
    }
  }
}

async function answer(continued?: Message): Promise<void> {
  if (!open.value || answering.value !== 'no') return;
  const abort = new AbortController();
  stopCurrent = () => abort.abort();
  answering.value = 'reading';
  problem.value = null;
  await settled(abort.signal);
  busy.value = true; // not before: it is the model that this waits for
  const state = model.value;
  const began: { id: number | null } = { id: continued?.id ?? null };
  try {
    if (state.at !== 'ready' || abort.signal.aborted) return;
    if (storyMode.value) await tellStory(state.engine, abort.signal, began);
    else await answerChat(state.engine, abort.signal, began);
  } catch (error) {
    // A worker that crashed is started again by the next message; a device that came back too often is not.
    const gone = error instanceof PronkError && error.code === 'device-lost';
    if (gone && model.value === state) model.value = { at: 'none' };
    if (state.at === 'ready') reportAnswer(state.engine, error);
    const message = messages.value.find(({ id }) => id === began.id);
    if (message?.text === '' && !message.reasoning && !message.calls) conversation.takeBack(message.id);
  } finally {
    stopCurrent = null;
    batch(() => {
      busy.value = false;
      answering.value = 'no';
      written.value = 0;
      promptTokens.value = 0;
    });
  }
}

function reportAnswer(engine: Pronk, error: unknown): void {
  // What the chat API says of a template has the template's own words as its cause.
  const cause = error instanceof PronkError && error.code === 'bad-argument' ? error.cause : undefined;
  if (!(cause instanceof PronkError)) return report('The answer could not be written', error);
  brokenTemplate.value = { engine, goOnWithout: false };
  const told = cause.message.replace(/^the /, 'The model’s ').replace(/\.?$/, '.');
  report('The answer could not be written', new Error(told));
}

/** Where the answer goes that begins now. */
function begin(began: { id: number | null }, story: boolean): number {
  began.id ??= conversation.add({ role: 'assistant', text: '', story, figures: null });
  return began.id;
}

async function answerChat(engine: Pronk, signal: AbortSignal, began: { id: number | null }): Promise<void> {
  const said = messages.value;
  const chat: Chat = {
    turns: said,
    tools: said.some((message) => message.tools) ? tools : [],
    sampling: sampling.value,
    temperature: temperature.value,
    ...(isPlain(engine) && { template: '' }),
  };
  if (!cuts.has(engine)) cuts.set(engine, new Map());
  const firstOf = cuts.get(engine)!;
  const first = firstOf.get(conversationId()) ?? 0;
  const least = said.filter(({ id }) => id < first).length;
  const { left, tokens: asked } = await leftOut(engine, chat, least);
  promptTokens.value = asked;
  firstOf.set(conversationId(), said[left]!.id);
  const session = await sessionOf(engine, conversationId());
  const figures = await streamAnswer(session, chatRequest(chat, left), signal, (parts, tokens) => {
    if (tokens === 0) return;
    answering.value = 'writing';
    written.value = tokens;
    conversation.replace(begin(began, false), parts);
  });
  noteWork(engine, figures);
  if (began.id !== null || !signal.aborted)
    conversation.replace(begin(began, false), { figures: { ...figures, left } });
}

async function tellStory(engine: Pronk, signal: AbortSignal, began: { id: number | null }): Promise<void> {
  const told = messages.value.at(-1);
  const start = told?.role === 'assistant' ? told.text : '';
  const opening = messages.value.findLast(({ role }) => role === 'user')?.text ?? '';
  const { tokens, left } = await storyPrompt(engine, opening + start);
  promptTokens.value = tokens.length;
  if (signal.aborted) return;
  const id = begin(began, true);
  const { topK, topP, minP, maxTokens, seed, repetition } = sampling.value;
  const options = { temperature: temperature.value, topK, topP, minP, maxTokens, repetitionPenalty: repetition };
  const session = await sessionOf(engine, conversationId());
  const generation = session.generate(tokens, { ...options, ...(seed !== null && { seed }) });
  signal.addEventListener('abort', () => generation.cancel(), { once: true });
  let text = start;
  const calm = atMostEvery(40, () => conversation.replace(id, { text }));
  for await (const piece of generation) {
    answering.value = 'writing';
    written.value++;
    text += piece.text;
    calm.ask();
  }
  calm.now();
  const figures = figuresOf(await generation.result, left);
  noteWork(engine, figures);
  conversation.replace(id, { figures });
}

function noteWork(engine: Pronk, { tokens, tokensPerSecond }: Figures): void {
  const { plan } = engine;
  void countWaiting(engine);
  noteSpeed(plan.device, plan.name || plan.architecture, plan.memory.weights, tokens, tokensPerSecond);
}

function figuresOf(result: GenerationResult, left: number): Figures {
  const { promptTokens: prompt, reusedTokens: reused, generatedTokens: tokens, finishReason: finish } = result;
  const { tokensPerSecond, firstTokenMs } = result.timings;
  return { tokensPerSecond, firstTokenMs, tokens, prompt, reused, context: prompt + tokens, finish, left };
}
