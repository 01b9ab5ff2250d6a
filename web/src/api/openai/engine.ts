// What the OpenAI shapes need of an engine.
import type { EmbeddingOptions, Plan, TokenizeOptions } from '../../runtime/types.js';
import type { GenerateOptions } from '../engine.js';
import type { Generation } from '../generation.js';

export interface TextEngine {
  readonly plan: Pick<Plan, 'name' | 'architecture' | 'contextLength'>;
  readonly chatTemplate: string | null;
  readonly specialTokens: { bos: string; eos: string };
  generate(prompt: string | ArrayLike<number>, options?: GenerateOptions): Generation;
  embed(texts: (string | number[])[], options?: EmbeddingOptions & { signal?: AbortSignal }): Promise<Float32Array[]>;
  tokenize(text: string, options?: TokenizeOptions): Promise<number[]>;
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
