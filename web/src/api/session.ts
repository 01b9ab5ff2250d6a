// A conversation of its own on an engine that has several.
import { PronkError } from '../runtime/errors.js';
import type { EmbeddingOptions, TokenizeOptions } from '../runtime/types.js';
import type { GenerateOptions } from './engine.js';
import type { Generation } from './generation.js';
import { ChatCompletions } from './openai/chat.js';
import { Completions } from './openai/completions.js';
import type { TextEngine } from './openai/engine.js';

/** What a session needs of its engine. */
export interface SessionEngine extends TextEngine {
  generateIn(session: number, prompt: string | ArrayLike<number>, options?: GenerateOptions): Generation;
  saveSession(session: number): Promise<Uint8Array<ArrayBuffer>>;
  closeSession(session: number): Promise<void>;
}

/**
 * A conversation with a KV cache of its own. Requests of several sessions take turns; a prompt goes on from whichever
 * session begins most like it. After a crash of the engine's worker the cache is empty, and the next prompt is read anew.
 */
export class Session implements TextEngine {
  readonly chat = { completions: new ChatCompletions(this) };
  readonly completions = new Completions(this);
  private closed = false;

  /** By Engine.session(). */
  constructor(
    private readonly engine: SessionEngine,
    private readonly id: number,
  ) {}

  get plan(): TextEngine['plan'] {
    return this.engine.plan;
  }
  get chatTemplate(): string | null {
    return this.engine.chatTemplate;
  }
  get specialTokens(): { bos: string; eos: string } {
    return this.engine.specialTokens;
  }

  /** As Engine.generate(). */
  generate(prompt: string | ArrayLike<number>, options?: GenerateOptions): Generation {
    this.check();
    return this.engine.generateIn(this.id, prompt, options);
  }

  /** What is computed of the conversation, for `engine.session({ from })`, here or with the same model elsewhere. */
  async save(): Promise<Uint8Array<ArrayBuffer>> {
    this.check();
    return this.engine.saveSession(this.id);
  }

  /** Frees the cache once what was asked for before has ended; the engine stays. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.engine.closeSession(this.id);
  }

  /** As those of the engine, which they go to. */
  embed(texts: (string | number[])[], options?: EmbeddingOptions & { signal?: AbortSignal }): Promise<Float32Array[]> {
    return this.engine.embed(texts, options);
  }
  tokenize(text: string, options?: TokenizeOptions): Promise<number[]> {
    return this.engine.tokenize(text, options);
  }
  detokenize(ids: ArrayLike<number>): Promise<string> {
    return this.engine.detokenize(ids);
  }
  render(template: string, values: Record<string, unknown>): Promise<string> {
    return this.engine.render(template, values);
  }

  private check(): void {
    if (this.closed) throw new PronkError('unloaded', 'the session was closed');
  }
}
