// The tokens of a conversation: the model's own chat template (Jinja), or plain text where it has none.
import type { Pronk } from 'pronk';

export interface Turn {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
}

export interface Prompt {
  tokens: number[];
  left: number; // turns at the beginning that are left out because they do not fit
}

export interface Chat {
  system: string; // empty: none
  turns: Turn[]; // of the user, the assistant and the tools
  tools: readonly object[];
  template: string;
  left: number; // as the prompt before this one had it
}

/** For a model whose template cannot be used. */
export const plainTemplate =
  '{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n\n{% endfor %}Assistant:';
/** Where a model that was asked by plainTemplate begins to write the other's part. */
export const plainEnd = /\n\s*(User|System|Tool|Assistant):/;

export type Render = (template: string, values: Record<string, unknown>) => Promise<string>;

export async function storyPrompt(engine: Pronk, text: string): Promise<Prompt> {
  const tokens = await engine.tokenize(text);
  const { contextLength } = engine.plan;
  if (tokens.length < contextLength) return { tokens, left: 0 };
  // The end of a long story is what the model goes on from.
  return { tokens: tokens.slice(-Math.floor(contextLength / 2)), left: 1 };
}

/**
 * Leaves out the oldest turns until a quarter of the context is free for the answer; more of them than it must, so that
 * the next prompts begin like this one and find it in the KV cache.
 */
export async function chatPrompt(engine: Pronk, chat: Chat, render: Render): Promise<Prompt> {
  const { contextLength } = engine.plan;
  const room = contextLength - Math.min(512, Math.floor(contextLength / 4));
  const starts = chat.turns.flatMap(({ role }, i) => (role === 'user' ? [i] : []));
  let left = Math.min(chat.left, starts.at(-1) ?? 0);
  for (let share = 0.75; ; share *= 0.75) {
    const tokens = await tokensOf(engine, chat, left, render);
    if (tokens.length <= room) return { tokens, left };
    const next = starts.filter((start) => start > left);
    if (next.length === 0) {
      const size = `${tokens.length} tokens with a context of ${contextLength}`;
      throw new Error(`The message is too long: ${size}. A larger context length can be set in the settings.`);
    }
    // How many tokens a turn has is guessed from its length; the next round says whether the guess was good.
    const perCharacter = tokens.length / lengthOf(chat, left);
    left = next.find((start) => lengthOf(chat, start) * perCharacter <= room * share) ?? next.at(-1)!;
  }
}

function lengthOf({ system, turns }: Chat, left: number): number {
  return turns.slice(left).reduce((sum, { content }) => sum + content.length + 20, system.length + 20);
}

async function tokensOf(engine: Pronk, chat: Chat, left: number, render: Render): Promise<number[]> {
  const { bos, eos } = engine.specialTokens;
  const system: Turn[] = chat.system ? [{ role: 'system', content: chat.system }] : [];
  const text = await render(chat.template, {
    messages: [...system, ...joined(chat.turns.slice(left))],
    ...(chat.tools.length > 0 && { tools: chat.tools }),
    bos_token: bos,
    eos_token: eos,
    add_generation_prompt: true,
  });
  // Most templates write the begin token themselves; it must not come twice.
  const written = bos !== '' && text.startsWith(bos);
  return engine.tokenize(text, { special: true, bos: written ? 'off' : 'auto' });
}

// Many templates refuse two user turns in a row, which is what an unanswered one leaves.
function joined(turns: Turn[]): Turn[] {
  const out: Turn[] = [];
  for (const turn of turns) {
    const last = out.at(-1);
    if (turn.role === 'user' && last?.role === 'user') {
      out[out.length - 1] = { role: 'user', content: `${last.content}\n\n${turn.content}` };
    } else {
      out.push(turn);
    }
  }
  return out;
}
