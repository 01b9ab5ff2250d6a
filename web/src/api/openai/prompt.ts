// The tokens of a chat request, by the model's chat template.
import { PronkError } from '../../runtime/errors.js';
import { builtinTemplate } from '../template/builtin.js';
import type { TextEngine } from './engine.js';
import type { TemplateMessage } from './messages.js';
import { FieldError } from './request.js';
import type { FunctionTool } from './types.js';

export interface ChatPrompt {
  tokens: number[];
  template: string;
  /** What the template has written of the answer, to its end: the marks that open the reasoning, maybe. */
  ending: string;
  /** Texts that end an answer besides the request's own. */
  stops: string[];
}

export interface ChatInput {
  messages: TemplateMessage[];
  tools: FunctionTool[];
  values: Record<string, unknown>;
  /** In place of the model's own; empty: one that fits its vocabulary. */
  template: string | undefined;
}

/** Whether a text is one special token of the model. */
export async function specialToken(engine: TextEngine, text: string): Promise<number | null> {
  const ids = await engine.tokenize(text, { special: true, bos: 'off' });
  const plain = await engine.tokenize(text, { special: false, bos: 'off' });
  return ids.length === 1 && plain.length !== 1 ? ids[0]! : null;
}

async function templateOf(
  engine: TextEngine,
  given: string | undefined,
): Promise<{ template: string; stops: string[] }> {
  const template = given ?? engine.chatTemplate;
  if (template) return { template, stops: [] };
  return builtinTemplate(async (text) => (await specialToken(engine, text)) !== null);
}

export async function chatPrompt(engine: TextEngine, input: ChatInput): Promise<ChatPrompt> {
  const { template, stops } = await templateOf(engine, input.template);
  const { bos, eos } = engine.specialTokens;
  const guard = await guarded(engine, input.messages);
  const text = await engine.render(template, {
    ...input.values,
    messages: guard.messages,
    ...(input.tools.length > 0 && { tools: input.tools }),
    bos_token: bos,
    eos_token: eos,
    add_generation_prompt: true,
  });
  const tokens = await tokensOf(engine, text, guard.marks);
  const { contextLength } = engine.plan;
  if (tokens.length >= contextLength) {
    throw new FieldError('messages', `are ${tokens.length} tokens, too many for a context of ${contextLength}`);
  }
  return { tokens, template, ending: text.slice(-40), stops };
}

const firstMark = 0xe000; // characters for private use

/**
 * What people and tools say must not end their turn: where it spells special tokens it is put between two marks, and
 * what is between them is tokenized as plain text.
 */
async function guarded(
  engine: TextEngine,
  messages: TemplateMessage[],
): Promise<{ messages: TemplateMessage[]; marks: [string, string] | null }> {
  const outsiders = messages.filter(({ role }) => role === 'user' || role === 'tool');
  const unsafe = new Set<TemplateMessage>();
  for (const message of outsiders) if (await spellsSpecial(engine, message.content)) unsafe.add(message);
  if (unsafe.size === 0) return { messages, marks: null };
  const all = JSON.stringify(messages);
  let code = firstMark;
  while (all.includes(String.fromCharCode(code)) || all.includes(String.fromCharCode(code + 1))) code += 2;
  const marks: [string, string] = [String.fromCharCode(code), String.fromCharCode(code + 1)];
  const marked = (message: TemplateMessage): TemplateMessage =>
    unsafe.has(message) ? { ...message, content: marks[0] + message.content + marks[1] } : message;
  return { messages: messages.map(marked), marks };
}

async function spellsSpecial(engine: TextEngine, text: string): Promise<boolean> {
  if (!/[<[|｜]/.test(text)) return false; // no special token is spelled without one of these
  const [special, plain] = await Promise.all([
    engine.tokenize(text, { special: true, bos: 'off' }),
    engine.tokenize(text, { special: false, bos: 'off' }),
  ]);
  return special.length !== plain.length || special.some((id, i) => id !== plain[i]);
}

async function tokensOf(engine: TextEngine, text: string, marks: [string, string] | null): Promise<number[]> {
  const { bos } = engine.specialTokens;
  // Most templates write the begin token themselves; it must not come twice.
  const written = bos !== '' && text.startsWith(bos);
  const first = written ? 'off' : 'auto';
  if (!marks) return engine.tokenize(text, { special: true, bos: first });
  const pieces = text.split(new RegExp(`(${marks[0]}[^${marks[1]}]*${marks[1]})`));
  const tokens: number[] = [];
  for (const [i, piece] of pieces.entries()) {
    const plain = i % 2 === 1; // the pattern's own group
    const ids = await engine.tokenize(plain ? piece.slice(1, -1) : piece, {
      special: !plain,
      bos: i === 0 ? first : 'off',
    });
    for (const id of ids) tokens.push(id);
  }
  return tokens;
}

/** A template's error, as one of the field that it could not take; its cause is the template's own. */
export function asFieldError(error: unknown): unknown {
  const own = error instanceof PronkError && error.code === 'bad-argument' && !(error instanceof FieldError);
  return own ? new FieldError('messages', error.message, { cause: error }) : error;
}
