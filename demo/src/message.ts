// A message of a conversation, and how one that was stored is taken: by whom and when it was written is not known.
import type { FinishReason } from 'pronk';

export interface Figures {
  tokensPerSecond: number;
  firstTokenMs: number;
  tokens: number;
  finish: FinishReason;
  left: number; // messages that did not fit
}

export interface Message {
  id: number;
  role: 'user' | 'assistant' | 'tool';
  text: string;
  tools?: boolean; // of a user's: tools are offered from here on
  story: boolean; // an assistant's message that continues the text of the user's before it
  figures: Figures | null;
}

const finishes: readonly FinishReason[] = ['length', 'stop', 'cancelled', 'context-full'];

function acceptFigures(found: unknown): Figures | null {
  if (typeof found !== 'object' || found === null) return null;
  const { tokensPerSecond, firstTokenMs, tokens, finish, left } = found as Figures;
  const numbers = [tokensPerSecond, firstTokenMs, tokens, left];
  if (!numbers.every((number) => Number.isFinite(number) && number >= 0) || !finishes.includes(finish)) return null;
  return { tokensPerSecond, firstTokenMs, tokens, finish, left };
}

function acceptMessage(found: unknown, id: number): Message | null {
  if (typeof found !== 'object' || found === null) return null;
  const { role, text, tools, story, figures } = found as Message;
  if (typeof text !== 'string' || (role !== 'user' && role !== 'assistant' && role !== 'tool')) return null;
  const message = { id, role, text, story: story === true, figures: acceptFigures(figures) };
  return tools === true ? { ...message, tools } : message;
}

/** The good messages of what was found in storage (anything), numbered anew. */
export function acceptMessages(found: unknown): Message[] {
  if (!Array.isArray(found)) return [];
  return found.map((one, i) => acceptMessage(one, i + 1)).filter((message) => message !== null);
}
