// engine.completions.create(): goes on with a text, without a chat template.
import { type AnswerEnd, answer, type Shown, usageOf } from './answer.js';
import { modelName, newId, now, type TextEngine } from './engine.js';
import { TokenTexts } from './logprobs.js';
import { textsOf } from './prompts.js';
import {
  checkFields,
  checkSamplingFields,
  completionFields,
  FieldError,
  legacyLogprobsOf,
  stopsOf,
} from './request.js';
import { samplingOf } from './sampling.js';
import { controllerOf, Stream } from './stream.js';
import type { Completion, CompletionLogprobs, CompletionRequest, RequestOptions, TokenLogprob } from './types.js';

const defaultTokens = 16; // as OpenAI's

interface Job {
  request: CompletionRequest;
  prompts: number[][];
  topLogprobs: number | undefined;
}
type Choice = Completion['choices'][number];

/** engine.completions. */
export class Completions {
  constructor(private readonly engine: TextEngine) {}

  /** Goes on with each prompt. A request that cannot be taken is an error 'bad-argument' that names the field. */
  create(request: CompletionRequest & { stream: true }, options?: RequestOptions): Promise<Stream<Completion>>;
  create(request: CompletionRequest & { stream?: false | null }, options?: RequestOptions): Promise<Completion>;
  create(request: CompletionRequest, options?: RequestOptions): Promise<Completion | Stream<Completion>>;
  async create(given: CompletionRequest, { signal }: RequestOptions = {}): Promise<Completion | Stream<Completion>> {
    const job = await this.prepare(given);
    const controller = controllerOf(signal);
    const chunks = this.chunks(job, controller.signal);
    return job.request.stream ? new Stream(chunks, controller) : collect(chunks);
  }

  private async prepare(given: CompletionRequest): Promise<Job> {
    const request = checkFields(given, completionFields);
    checkSamplingFields(request);
    const topLogprobs = legacyLogprobsOf(request);
    const texts = textsOf('prompt', request.prompt);
    const prompts = await Promise.all(
      texts.map(async (text) => (typeof text === 'string' ? this.engine.tokenize(text) : text)),
    );
    const { contextLength } = this.engine.plan;
    for (const { length } of prompts) {
      if (length === 0) throw new FieldError('prompt', 'has no tokens');
      if (length >= contextLength)
        throw new FieldError('prompt', `is ${length} tokens, too many for a context of ${contextLength}`);
    }
    return { request: { ...request, max_tokens: request.max_tokens ?? defaultTokens }, prompts, topLogprobs };
  }

  private async *chunks(
    { request, prompts, topLogprobs }: Job,
    signal: AbortSignal,
  ): AsyncGenerator<Completion, void, void> {
    const head = {
      id: newId('cmpl'),
      object: 'text_completion' as const,
      created: now(),
      model: request.model ?? modelName(this.engine),
    };
    const texts = new TokenTexts(this.engine);
    const ends: AnswerEnd[] = [];
    const n = request.n ?? 1;
    for (const [i, tokens] of prompts.entries()) {
      for (let k = 0; k < n; k++) {
        const options = { ...samplingOf(request, k, topLogprobs), signal };
        const answering = answer(this.engine, { tokens, options, stops: stopsOf(request), hidden: new Map() }, texts);
        for await (const choice of choicesOf(answering, i * n + k, ends)) yield { ...head, choices: [choice] };
      }
    }
    const promptTokens = prompts.reduce((sum, { length }) => sum + length, 0);
    if (!request.stream || request.stream_options?.include_usage) {
      yield { ...head, choices: [], usage: usageOf(promptTokens, ends) };
    }
  }
}

async function* choicesOf(
  answering: AsyncGenerator<Shown, AnswerEnd, void>,
  index: number,
  ends: AnswerEnd[],
): AsyncGenerator<Choice, void, void> {
  let offset = 0;
  try {
    for (;;) {
      const { value, done } = await answering.next();
      if (done) {
        ends.push(value);
        yield { index, text: '', logprobs: null, finish_reason: value.finish };
        return;
      }
      const logprobs = value.logprobs.length > 0 ? legacyForm(value.logprobs, offset) : null;
      offset += value.logprobs.reduce((sum, { token }) => sum + token.length, 0);
      yield { index, text: value.text, logprobs, finish_reason: null as never }; // typed as OpenAI types it
    }
  } finally {
    await answering.return(undefined as never);
  }
}

function legacyForm(tokens: TokenLogprob[], start: number): CompletionLogprobs {
  let offset = start;
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top_logprobs: top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: tokens.map(({ token }) => {
      const at = offset;
      offset += token.length;
      return at;
    }),
  };
}

async function collect(chunks: AsyncIterable<Completion>): Promise<Completion> {
  const choices: Choice[] = [];
  let last: Completion | null = null;
  for await (const chunk of chunks) {
    last = chunk;
    for (const { index, text, logprobs, finish_reason: finish } of chunk.choices) {
      const choice = (choices[index] ??= { index, text: '', logprobs: null, finish_reason: 'stop' });
      choice.text += text;
      choice.finish_reason = finish ?? choice.finish_reason;
      if (logprobs) choice.logprobs = joined(choice.logprobs, logprobs);
    }
  }
  return { ...last!, choices };
}

function joined(a: CompletionLogprobs | null, b: CompletionLogprobs): CompletionLogprobs {
  if (!a) return b;
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: [...a.top_logprobs, ...b.top_logprobs],
    text_offset: [...a.text_offset, ...b.text_offset],
  };
}
