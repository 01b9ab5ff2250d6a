// The tokens of a conversation: the model's own chat template (Jinja), or plain text where it has none.
import type { Pronk } from 'pronk';

export interface Turn {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
}

export interface Prompt {
  tokens: number[];
  left: number; // turns left out because they do not fit
}

export async function storyPrompt(engine: Pronk, text: string): Promise<Prompt> {
  const tokens = await engine.tokenize(text);
  const { contextLength } = engine.plan;
  if (tokens.length < contextLength) return { tokens, left: 0 };
  // The end of a long story is what the model goes on from.
  return { tokens: tokens.slice(-Math.floor(contextLength / 2)), left: 1 };
}

/** Leaves out the oldest turns until a quarter of the context is free for the answer. */
export async function chatPrompt(engine: Pronk, turns: Turn[], tools: readonly object[] = []): Promise<Prompt> {
  const { Template } = await import('@huggingface/jinja');
  const template = new Template(engine.chatTemplate!);
  const { contextLength } = engine.plan;
  const room = contextLength - Math.min(512, Math.floor(contextLength / 4));
  const system = turns.filter((turn) => turn.role === 'system');
  let rest = turns.filter((turn) => turn.role !== 'system');
  for (let left = 0; ; left++) {
    const tokens = await render(engine, template, [...system, ...rest], tools);
    if (tokens.length <= room) return { tokens, left };
    const next = rest.findIndex((turn, i) => i > 0 && turn.role === 'user');
    if (next < 0) {
      const size = `${tokens.length} tokens with a context of ${contextLength}`;
      throw new Error(`The message is too long: ${size}. A larger context length can be set in the settings.`);
    }
    rest = rest.slice(next);
  }
}

interface Renderer {
  render(values: Record<string, unknown>): string;
}

async function render(
  engine: Pronk,
  template: Renderer,
  messages: Turn[],
  tools: readonly object[],
): Promise<number[]> {
  const { bos, eos } = engine.specialTokens;
  let text: string;
  try {
    const offered = tools.length > 0 ? { tools } : {};
    text = template.render({ messages, ...offered, bos_token: bos, eos_token: eos, add_generation_prompt: true });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`The model’s chat template fails: ${why}`);
  }
  // Most templates write the begin token themselves; it must not come twice.
  const written = bos !== '' && text.startsWith(bos);
  return engine.tokenize(text, { special: true, bos: written ? 'off' : 'auto' });
}
