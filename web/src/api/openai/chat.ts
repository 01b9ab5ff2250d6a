// engine.chat.completions.create()
import type { Constraint } from '../../runtime/types.js';
import { type AnswerEnd, answer, usageOf } from './answer.js';
import { type AnswerParser, MarkedParser, type ReasoningMarks, reasoningOf } from './answer-parser.js';
import { constraintOf } from './constraint.js';
import { modelName, newId, now, type TextEngine } from './engine.js';
import { HarmonyParser, harmonyMarks, speaksHarmony } from './harmony.js';
import { TokenTexts } from './logprobs.js';
import { messagesOf, type ToolUse, toolUseOf } from './messages.js';
import { asFieldError, type ChatPrompt, chatPrompt, specialToken } from './prompt.js';
import {
  chatFields,
  checkFields,
  checkSamplingFields,
  checkType,
  FieldError,
  isObject,
  show,
  stopsOf,
  topLogprobsOf,
} from './request.js';
import { samplingOf } from './sampling.js';
import { controllerOf, Stream } from './stream.js';
import type { Part } from './tools/calls.js';
import { anyFormat, toolFormatOf } from './tools/formats.js';
import type {
  ChatAnswer,
  ChatChunkChoice,
  ChatCompletion,
  ChatCompletionChunk,
  ChatDelta,
  ChatFinish,
  ChatRequest,
  RequestOptions,
  TokenLogprob,
  ToolCallDelta,
  Usage,
} from './types.js';

interface ChatJob {
  request: ChatRequest;
  prompt: ChatPrompt;
  use: ToolUse;
  constraint: Constraint | undefined;
  topLogprobs: number | undefined;
  hidden: ReadonlyMap<number, string>;
}

/** engine.chat.completions. */
export class ChatCompletions {
  private readonly hidden = new Map<string, number | null>(); // marks and their tokens, once asked for

  constructor(private readonly engine: TextEngine) {}

  /** Answers the messages. A request that cannot be taken is an error 'bad-argument' that names the field. */
  create(request: ChatRequest & { stream: true }, options?: RequestOptions): Promise<Stream<ChatCompletionChunk>>;
  create(request: ChatRequest & { stream?: false | null }, options?: RequestOptions): Promise<ChatCompletion>;
  create(request: ChatRequest, options?: RequestOptions): Promise<ChatCompletion | Stream<ChatCompletionChunk>>;
  async create(
    given: ChatRequest,
    { signal }: RequestOptions = {},
  ): Promise<ChatCompletion | Stream<ChatCompletionChunk>> {
    const job = await this.prepare(given);
    const controller = controllerOf(signal);
    const chunks = this.chunks(job, controller.signal);
    return job.request.stream ? new Stream(chunks, controller) : collect(chunks);
  }

  private async prepare(given: ChatRequest): Promise<ChatJob> {
    const request = checkFields(given, chatFields);
    checkSamplingFields(request);
    const topLogprobs = topLogprobsOf(request);
    const use = toolUseOf(request);
    const constraint = constraintOf(request, use);
    checkType(request, 'chat_template', 'string');
    const input = {
      messages: messagesOf(request),
      tools: use.tools,
      values: templateValues(request),
      template: request.chat_template ?? undefined,
    };
    const prompt = await chatPrompt(this.engine, input).catch((error: unknown) => {
      throw asFieldError(error);
    });
    const hidden = await this.hiddenTokens(prompt.template, use);
    const after = constraint && (await this.reasoningEnd(prompt));
    return { request, prompt, use, constraint: constraint && { ...constraint, ...after }, topLogprobs, hidden };
  }

  /** Where a constraint begins when the prompt has opened the reasoning, and its end is a token. */
  private async reasoningEnd(prompt: ChatPrompt): Promise<Pick<Constraint, 'after'>> {
    const opened = openedReasoning(prompt);
    if (!opened) return {};
    const [after, ...more] = await this.engine.tokenize(opened.close, { special: true, bos: 'off' });
    return more.length === 0 ? { after: after! } : {};
  }

  /** Control tokens that the answer's parser has to see. */
  private async hiddenTokens(template: string, { tools }: ToolUse): Promise<ReadonlyMap<number, string>> {
    const reasoning = reasoningOf(template);
    const format = tools.length > 0 ? toolFormatOf(template) : null;
    const marks = speaksHarmony(template)
      ? harmonyMarks
      : [...(reasoning ? [reasoning.open, reasoning.close] : []), ...(format?.begins ?? []), ...(format?.hidden ?? [])];
    const found = new Map<number, string>();
    for (const mark of marks) {
      if (!this.hidden.has(mark)) this.hidden.set(mark, await specialToken(this.engine, mark));
      const token = this.hidden.get(mark);
      if (typeof token === 'number') found.set(token, mark);
    }
    return found;
  }

  private async *chunks(job: ChatJob, signal: AbortSignal): AsyncGenerator<ChatCompletionChunk, void, void> {
    const { request, prompt } = job;
    const id = newId('chatcmpl');
    const head = {
      id,
      object: 'chat.completion.chunk' as const,
      created: now(),
      model: request.model ?? modelName(this.engine),
    };
    // Within the package all chunks are alike; to the caller the usage comes as it was asked for.
    const usage = !request.stream || request.stream_options?.include_usage ? { usage: null } : {};
    const texts = new TokenTexts(this.engine);
    const ends: AnswerEnd[] = [];
    for (let index = 0; index < (request.n ?? 1); index++) {
      const chunkOf = (choice: ChatChunkChoice): ChatCompletionChunk => ({ ...head, choices: [choice], ...usage });
      ends.push(yield* this.choice(job, index, texts, signal, chunkOf));
    }
    if ('usage' in usage) yield { ...head, choices: [], usage: usageOf(prompt.tokens.length, ends) };
  }

  private async *choice(
    { request, prompt, use, constraint, topLogprobs, hidden }: ChatJob,
    index: number,
    texts: TokenTexts,
    signal: AbortSignal,
    chunkOf: (choice: ChatChunkChoice) => ChatCompletionChunk,
  ): AsyncGenerator<ChatCompletionChunk, AnswerEnd, void> {
    const options = { ...samplingOf(request, index, topLogprobs), signal, ...(constraint && { constraint }) };
    const stops = [...stopsOf(request), ...prompt.stops];
    const answering = answer(this.engine, { tokens: prompt.tokens, options, stops, hidden }, texts);
    const writer = new DeltaWriter(parserOf(prompt, use, constraint), use.parallel);
    const chunk = (delta: ChatDelta, tokens: TokenLogprob[] = [], finish: ChatFinish | null = null) => {
      const logprobs = topLogprobs === undefined || tokens.length === 0 ? null : { content: tokens, refusal: null };
      return chunkOf({ index, delta, logprobs, finish_reason: finish });
    };
    yield chunk({ role: 'assistant', content: '' });
    try {
      for (;;) {
        const { value, done } = await answering.next();
        if (done) {
          for (const delta of writer.end()) yield chunk(delta);
          yield chunk({}, [], writer.called ? 'tool_calls' : value.finish);
          return value;
        }
        const deltas = writer.push(value.text);
        const last = deltas.pop() ?? (value.logprobs.length > 0 ? {} : null);
        for (const delta of deltas) yield chunk(delta);
        if (last) yield chunk(last, value.logprobs);
      }
    } finally {
      await answering.return(undefined as never); // ends the generation where the loop was left
    }
  }
}

function templateValues(request: ChatRequest): Record<string, unknown> {
  const { chat_template_kwargs: further, enable_thinking: thinking } = request;
  checkType(request, 'enable_thinking', 'boolean');
  if (further !== undefined && !isObject(further)) {
    throw new FieldError('chat_template_kwargs', `is ${show(further)}, not an object`);
  }
  return { ...further, ...(thinking !== undefined && { enable_thinking: thinking }) };
}

/** The marks of the reasoning that the prompt has opened; null: it has not. */
function openedReasoning({ template, ending }: ChatPrompt): ReasoningMarks | null {
  const reasoning = reasoningOf(template);
  return reasoning && ending.trimEnd().endsWith(reasoning.open) ? reasoning : null;
}

function parserOf(prompt: ChatPrompt, use: ToolUse, constraint: Constraint | undefined): AnswerParser {
  const { template } = prompt;
  const opened = openedReasoning(prompt);
  if (constraint) {
    // Nothing but reasoning and the answer comes, whatever form the model has else.
    const reasons = constraint.after !== undefined;
    return new MarkedParser(reasons ? opened : null, use.required ? anyFormat : null, reasons, true);
  }
  if (speaksHarmony(template)) return new HarmonyParser();
  return new MarkedParser(reasoningOf(template), use.tools.length > 0 ? toolFormatOf(template) : null, opened !== null);
}

/** The parts of an answer as deltas. */
class DeltaWriter {
  private calls = 0;

  constructor(
    private readonly parser: AnswerParser,
    private readonly parallel: boolean,
  ) {}

  get called(): boolean {
    return this.calls > 0;
  }

  push(text: string): ChatDelta[] {
    return this.deltas(this.parser.push(text));
  }

  end(): ChatDelta[] {
    return this.deltas(this.parser.end());
  }

  private deltas(parts: Part[]): ChatDelta[] {
    return parts.map((part) => this.delta(part)).filter((delta) => delta !== null);
  }

  private delta(part: Part): ChatDelta | null {
    if (part.kind === 'call') {
      this.calls++;
      return this.ofCall({
        id: newId('call').replace('-', '_'),
        type: 'function',
        function: { name: part.name, arguments: '' },
      });
    }
    if (part.kind === 'content') return { content: part.text };
    if (part.kind === 'reasoning') return { reasoning_content: part.text };
    return this.ofCall({ function: { arguments: part.text } });
  }

  private ofCall(part: Omit<ToolCallDelta, 'index'>): ChatDelta | null {
    if (this.calls > 1 && !this.parallel) return null;
    return { tool_calls: [{ index: this.calls - 1, ...part }] };
  }
}

interface Gathered {
  content: string;
  reasoning: string;
  calls: NonNullable<ChatAnswer['tool_calls']>;
  logprobs: TokenLogprob[] | null;
  finish: ChatFinish;
}

/** The answer that the chunks are of. */
async function collect(chunks: AsyncIterable<ChatCompletionChunk>): Promise<ChatCompletion> {
  const choices: Gathered[] = [];
  let head: ChatCompletionChunk | null = null;
  let usage: Usage | null = null;
  for await (const chunk of chunks) {
    head = chunk;
    usage = chunk.usage ?? usage;
    for (const choice of chunk.choices) {
      choices[choice.index] ??= { content: '', reasoning: '', calls: [], logprobs: null, finish: 'stop' };
      gather(choices[choice.index]!, choice);
    }
  }
  const { id, created, model } = head!;
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    choices: choices.map(({ finish, logprobs, ...parts }, index) => ({
      index,
      message: messageOf(parts),
      logprobs: logprobs && { content: logprobs, refusal: null },
      finish_reason: finish,
    })),
    usage: usage!,
  };
}

function gather(into: Gathered, { delta, logprobs, finish_reason: finish }: ChatChunkChoice): void {
  into.content += delta.content ?? '';
  into.reasoning += delta.reasoning_content ?? '';
  for (const { index, id, function: made } of delta.tool_calls ?? []) {
    into.calls[index] ??= { id: id!, type: 'function', function: { name: made!.name!, arguments: '' } };
    into.calls[index].function.arguments += made?.arguments ?? '';
  }
  if (logprobs?.content) into.logprobs = [...(into.logprobs ?? []), ...logprobs.content];
  into.finish = finish ?? into.finish;
}

function messageOf({ content, reasoning, calls }: Pick<Gathered, 'content' | 'reasoning' | 'calls'>): ChatAnswer {
  return {
    role: 'assistant',
    content: content === '' && calls.length > 0 ? null : content,
    refusal: null,
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}
