// An engine that says what a test wants it to: tokens are words, white space or marks between <| and |>, numbered as they come.
import type { GenerateOptions } from '../../src/api/engine.js';
import { Generation } from '../../src/api/generation.js';
import type { TextEngine } from '../../src/api/openai/engine.js';
import { renderJinja } from '../../src/api/template/jinja.js';
import { PronkError } from '../../src/runtime/errors.js';
import type { FinishReason, Piece, TokenizeOptions } from '../../src/runtime/types.js';
import { chatMl } from './tiny-gguf.js';

type Options = GenerateOptions;

export class FakeTextEngine implements TextEngine {
  plan = { name: 'Fake', architecture: 'fake', contextLength: 1000 };
  chatTemplate: string | null = chatMl;
  specialTokens = { bos: '', eos: '<|im_end|>' };
  /** Texts of the tokens that the next generations give. */
  answers: string[][] = [['Hello', ' world', '.']];
  finish: FinishReason = 'stop';
  special = ['<|im_start|>', '<|im_end|>'];
  /** Control tokens that are given as no text. */
  hidden: string[] = [];
  /** Of the generations: what they were asked, and whether they were told to stop. */
  asked: { prompt: number[]; text: string; options: Options; stopped: boolean }[] = [];
  private readonly vocabulary: string[] = [];

  id(text: string): number {
    const at = this.vocabulary.indexOf(text);
    return at >= 0 ? at : this.vocabulary.push(text) - 1;
  }

  async tokenize(text: string, { special = false }: TokenizeOptions = {}): Promise<number[]> {
    const marks = [...this.special, ...this.hidden].map((mark) => mark.replace(/[|[\]]/g, '\\$&'));
    const pieces = special && marks.length > 0 ? text.split(new RegExp(`(${marks.join('|')})`)) : [text];
    return pieces.flatMap((piece, i) => (i % 2 === 1 ? [this.id(piece)] : Array.from(piece, (c) => this.id(`'${c}`))));
  }

  async detokenize(ids: ArrayLike<number>): Promise<string> {
    return Array.from(ids, (id) => this.vocabulary[id]!.replace(/^'(?=.$)/s, '')).join('');
  }

  async render(template: string, values: Record<string, unknown>): Promise<string> {
    const rendered = renderJinja({ source: template, values });
    if ('error' in rendered) throw new PronkError('bad-argument', rendered.error);
    return rendered.text;
  }

  async embed(texts: (string | number[])[]): Promise<Float32Array[]> {
    return texts.map((text) => Float32Array.of(text.length, 0.5, -1));
  }

  generate(given: string | ArrayLike<number>, options: Options = {}): Generation {
    const prompt = Array.from(given as number[]);
    const texts = this.answers[Math.min(this.asked.length, this.answers.length - 1)]!;
    const asked = { prompt, text: '', options, stopped: false };
    this.asked.push(asked);
    return new Generation(async (onPieces, signal) => {
      asked.text = await this.detokenize(prompt);
      let count = 0;
      for (const text of texts) {
        await new Promise((resolve) => setTimeout(resolve));
        if (signal.aborted) break;
        if (options.maxTokens !== undefined && count >= options.maxTokens) break;
        count++;
        onPieces([this.piece(text, options)]);
      }
      asked.stopped = signal.aborted;
      const short = options.maxTokens !== undefined && texts.length > options.maxTokens;
      const finishReason = signal.aborted ? 'cancelled' : short ? 'length' : this.finish;
      const timings = { firstTokenMs: 1, totalMs: 1, promptTokensPerSecond: 1, tokensPerSecond: 1 };
      return { finishReason, promptTokens: prompt.length, reusedTokens: 3, generatedTokens: count, seed: 1, timings };
    }, options.signal);
  }

  private piece(text: string, options: Options): Piece {
    const token = this.id(text);
    const most = options.topLogprobs;
    const top = [token, this.id('other')].slice(0, most).map((id, i) => ({ token: id, logprob: -0.5 - i }));
    const shown = this.hidden.includes(text) ? '' : text;
    return { text: shown, token, ...(most !== undefined && { logprobs: { logprob: -0.5, top } }) };
  }
}
