// A conversation as a request of the chat API, cut so that it fits the context.
import type { ChatMessage, ChatRequest, FunctionTool, ResponseFormat } from 'pronk';
import type { Message } from './message.js';
import type { Sampling } from './sampling-type.js';

/** What is asked of an engine here. */
export interface Tokenizer {
  readonly plan: { contextLength: number };
  tokenize(text: string): Promise<number[]>;
}

export interface Chat {
  turns: readonly Message[]; // from the first to the one that is answered
  tools: readonly FunctionTool[];
  sampling: Sampling;
  temperature: number;
  template?: string; // in place of the model's own
}

export async function storyPrompt(engine: Tokenizer, text: string): Promise<{ tokens: number[]; left: number }> {
  const tokens = await engine.tokenize(text);
  const { contextLength } = engine.plan;
  if (tokens.length < contextLength) return { tokens, left: 0 };
  // The end of a long story is what the model goes on from.
  return { tokens: tokens.slice(-Math.floor(contextLength / 2)), left: 1 };
}

const marks = 8; // tokens that a template puts around a turn, or fewer
const lengths = new WeakMap<Tokenizer, WeakMap<Message, number>>();

const textOf = ({ text, calls = [] }: Message): string =>
  text + calls.map((call) => call.function.name + call.function.arguments).join('');

async function lengthsOf(engine: Tokenizer, turns: readonly Message[]): Promise<number[]> {
  let known = lengths.get(engine);
  if (!known) lengths.set(engine, (known = new WeakMap()));
  const count = async (turn: Message): Promise<number> => {
    const length = known.get(turn) ?? (await engine.tokenize(textOf(turn))).length + marks;
    known.set(turn, length);
    return length;
  };
  return Promise.all(turns.map(count));
}

export class TooLong extends Error {}

export interface Cut {
  left: number;
  tokens: number;
}

/**
 * How many of the oldest turns are left out, and about how many tokens the others are. At least `least` are, so that a quarter
 * of the context is free for the answer; and more than must be, so that the next requests begin like this one and find it in the KV cache.
 */
export async function leftOut(engine: Tokenizer, { turns, tools, sampling }: Chat, least: number): Promise<Cut> {
  const { contextLength } = engine.plan;
  const starts = turns.flatMap(({ role }, i) => (role === 'user' ? [i] : []));
  const first = Math.min(least, starts.at(-1) ?? 0);
  const frame = await engine.tokenize(sampling.system + (tools.length > 0 ? JSON.stringify(tools) : ''));
  const counts = await lengthsOf(engine, turns);
  const sizeFrom = (start: number): number => counts.slice(start).reduce((sum, each) => sum + each, frame.length);
  const room = contextLength - Math.min(512, Math.floor(contextLength / 4));
  if (sizeFrom(first) <= room) return { left: first, tokens: sizeFrom(first) };
  const later = starts.filter((start) => start > first);
  const cut = later.find((start) => sizeFrom(start) <= 0.75 * room) ?? later.at(-1) ?? first;
  if (sizeFrom(cut) <= room) return { left: cut, tokens: sizeFrom(cut) };
  const size = `${sizeFrom(cut)} tokens with a context of ${contextLength}`;
  throw new TooLong(`The message is too long: ${size}. A larger context length can be set in the settings.`);
}

/** The request for an answer to the turns from `left` on. */
export function chatRequest({ turns, tools, sampling, temperature, template }: Chat, left: number): ChatRequest {
  const { system, topK, topP, minP, repetition, maxTokens, seed, thinking, form, probabilities } = sampling;
  const first: ChatMessage[] = system.trim() ? [{ role: 'system', content: system.trim() }] : [];
  return {
    messages: [...first, ...joined(turns.slice(left).map(chatMessage))],
    temperature,
    top_k: topK,
    top_p: topP,
    min_p: minP,
    max_completion_tokens: maxTokens,
    ...(repetition !== 1 && { repetition_penalty: repetition }),
    ...(seed !== null && { seed }),
    ...(thinking !== 'auto' && { enable_thinking: thinking === 'on' }),
    ...(probabilities && { logprobs: true, top_logprobs: 5 }),
    ...(template !== undefined && { chat_template: template }),
    // What must be JSON cannot call a tool.
    ...(form !== 'text' ? { response_format: formatOf(sampling) } : tools.length > 0 && { tools: [...tools] }),
  };
}

function formatOf({ form, schema }: Sampling): ResponseFormat {
  if (form === 'json') return { type: 'json_object' };
  return { type: 'json_schema', json_schema: { name: 'answer', schema: parseSchema(schema) } };
}

/** A JSON schema as a person has written it; an Error says what is wrong. */
export function parseSchema(text: string): Record<string, unknown> {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new Error(`The JSON schema in the settings cannot be read: ${(error as Error).message}`);
  }
  if (typeof found === 'object' && found !== null && !Array.isArray(found)) return found as Record<string, unknown>;
  throw new Error('The JSON schema in the settings is not an object.');
}

function chatMessage({ role, text, calls, callId }: Message): ChatMessage {
  if (role === 'user') return { role, content: text };
  if (role === 'tool') return { role, content: text, tool_call_id: callId ?? '' };
  return { role, content: text, ...(calls && { tool_calls: calls }) };
}

// Many templates refuse two user turns in a row, which is what an unanswered one leaves.
function joined(turns: ChatMessage[]): ChatMessage[] {
  const out: ChatMessage[] = [];
  for (const turn of turns) {
    const last = out.at(-1);
    if (turn.role === 'user' && last?.role === 'user') {
      out[out.length - 1] = { role: 'user', content: `${last.content as string}\n\n${turn.content as string}` };
    } else {
      out.push(turn);
    }
  }
  return out;
}
