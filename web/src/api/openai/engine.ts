// What the OpenAI shapes need of an engine.
import type { EmbeddingOptions, Plan, TokenizeOptions } from '../../runtime/types.js';
import type { GenerateOptions } from '../engine.js';
import type { Generation } from '../generation.js';

/** What answers requests: an engine or a session. */
export interface TextEngine {
  /** Of the model. */
  readonly plan: Pick<Plan, 'name' | 'architecture' | 'contextLength'>;
  /** As Engine.chatTemplate. */
  readonly chatTemplate: string | null;
  /** As Engine.specialTokens. */
  readonly specialTokens: { bos: string; eos: string };
  /** As Engine.generate(). */
  generate(prompt: string | ArrayLike<number>, options?: GenerateOptions): Generation;
  /** As Engine.embed(). */
  embed(texts: (string | number[])[], options?: EmbeddingOptions & { signal?: AbortSignal }): Promise<Float32Array[]>;
  /** As Engine.tokenize(). */
  tokenize(text: string, options?: TokenizeOptions): Promise<number[]>;
  /** As Engine.detokenize(). */
  detokenize(ids: ArrayLike<number>): Promise<string>;
  /** The text that a Jinja template makes of the values. */
  render(template: string, values: Record<string, unknown>): Promise<string>;
}

export const modelName = ({ plan }: TextEngine): string => plan.name || plan.architecture;

/** An id as OpenAI's look: the kind in front. */
export function newId(kind: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(15));
  return `${kind}-${Array.from(bytes, (byte) => (byte % 36).toString(36)).join('')}`;
}

export const now = (): number => Math.floor(Date.now() / 1000);
