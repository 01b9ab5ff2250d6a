// A message of a conversation, and how one that was stored is taken: by whom and when it was written is not known.
import type { FinishReason, TokenLogprob, ToolCall } from 'pronk';

export interface Figures {
  tokensPerSecond: number;
  firstTokenMs: number;
  tokens: number;
  prompt: number; // tokens of the prompt; 0: not known
  reused: number; // of them, those whose work was done before
  context: number; // tokens of the context in use after it; 0: not known
  finish: FinishReason;
  left: number; // messages that did not fit
}

export interface Message {
  id: number; // larger than its parent's
  parent: number | null; // the message that it answers or follows
  role: 'user' | 'assistant' | 'tool';
  text: string;
  reasoning?: string; // what an assistant thought first
  calls?: ToolCall[]; // of tools, by an assistant
  callId?: string; // of a tool's: the call that it answers
  times?: number[]; // of an assistant's first tokens: milliseconds after the question
  probabilities?: TokenLogprob[]; // of an assistant's tokens, where they were asked for
  tools?: boolean; // of a user's: tools are offered from here on
  story: boolean; // an assistant's message that continues the text of the user's before it
  figures: Figures | null;
}

const finishes: readonly FinishReason[] = ['length', 'stop', 'cancelled', 'context-full'];

const isObject = (found: unknown): found is Record<string, unknown> => typeof found === 'object' && found !== null;

function acceptFigures(found: unknown): Figures | null {
  if (!isObject(found)) return null;
  const { tokensPerSecond, firstTokenMs, tokens, finish, left } = found as unknown as Figures;
  const { context = 0, prompt = 0, reused = 0 } = found as Partial<Figures>;
  const numbers = [tokensPerSecond, firstTokenMs, tokens, left, context, prompt, reused];
  if (!numbers.every((number) => Number.isFinite(number) && number >= 0) || !finishes.includes(finish)) return null;
  return { tokensPerSecond, firstTokenMs, tokens, prompt, reused, context, finish, left };
}

function acceptCalls(found: unknown): ToolCall[] {
  if (!Array.isArray(found)) return [];
  return found.flatMap((call: unknown) => {
    const made = isObject(call) && isObject(call.function) ? call.function : {};
    if (typeof made.name !== 'string' || typeof made.arguments !== 'string') return [];
    const id = String((call as { id?: unknown }).id ?? '');
    return [{ id, type: 'function' as const, function: { name: made.name, arguments: made.arguments } }];
  });
}

const isLogprob = (found: unknown): boolean =>
  isObject(found) && typeof found.token === 'string' && Number.isFinite(found.logprob);

function acceptProbabilities(found: unknown): TokenLogprob[] {
  const good = (each: unknown): boolean =>
    isLogprob(each) &&
    Array.isArray((each as TokenLogprob).top_logprobs) &&
    (each as TokenLogprob).top_logprobs.every(isLogprob);
  return Array.isArray(found) && found.every(good) ? (found as TokenLogprob[]) : [];
}

/** The thoughts and calls that pages before this one kept in the text itself. */
function apart(text: string): Pick<Message, 'text' | 'reasoning' | 'calls'> {
  const thought = /^\s*<think>(.*?)(?:<\/think>|$)/s.exec(text);
  const answer = thought ? text.slice(thought[0].length) : text;
  const call = /<tool_call>\s*\{"name": "(\w+)", "arguments": (\{.*\})\}\s*<\/tool_call>/s.exec(answer);
  return {
    text: call ? answer.slice(0, call.index).trim() : answer,
    ...(thought && { reasoning: thought[1]!.trim() }),
    ...(call && { calls: [{ id: 'call', type: 'function', function: { name: call[1]!, arguments: call[2]! } }] }),
  };
}

const isTimes = (found: unknown): found is number[] =>
  Array.isArray(found) &&
  found.every((time, i) => Number.isFinite(time) && time >= (i === 0 ? 0 : (found[i - 1] as number)));

function acceptMessage(found: unknown, id: number, parent: number | null): Message | null {
  if (!isObject(found)) return null;
  const { role, text, tools, story, figures, reasoning, calls, callId, probabilities, times } = found;
  if (typeof text !== 'string' || (role !== 'user' && role !== 'assistant' && role !== 'tool')) return null;
  const made = acceptCalls(calls);
  const tokens = acceptProbabilities(probabilities);
  return {
    id,
    parent,
    role,
    ...(role === 'assistant' && !('parent' in found) ? apart(text) : { text }),
    ...(typeof reasoning === 'string' && { reasoning }),
    ...(made.length > 0 && { calls: made }),
    ...(role === 'tool' && { callId: typeof callId === 'string' ? callId : 'call' }),
    ...(tokens.length > 0 && { probabilities: tokens }),
    ...(isTimes(times) && { times }),
    ...(tools === true && { tools }),
    story: story === true,
    figures: acceptFigures(figures),
  };
}

/**
 * The good messages of what was found in storage (anything), numbered anew; one whose parent is not among them follows
 * the one before. `end`: the last message of the branch that was shown.
 */
export function acceptMessages(found: unknown, end?: unknown): { messages: Message[]; end: number | null } {
  const messages: Message[] = [];
  const numbers = new Map<unknown, number>();
  for (const one of Array.isArray(found) ? (found as unknown[]) : []) {
    const { id, parent } = isObject(one) ? one : {};
    const before = messages.at(-1)?.id ?? null;
    const accepted = acceptMessage(one, messages.length + 1, parent === null ? null : (numbers.get(parent) ?? before));
    if (!accepted) continue;
    messages.push(accepted);
    if (typeof id === 'number') numbers.set(id, accepted.id);
  }
  return { messages, end: numbers.get(end) ?? messages.at(-1)?.id ?? null };
}
