// Models for the AI SDK (npm `ai`): pronk/ai-sdk. They speak to whatever has the OpenAI shapes: an engine or a session.
import type {
  EmbeddingModelV4,
  JSONValue,
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4ToolResultOutput,
  LanguageModelV4Usage,
  SharedV4Warning,
} from '@ai-sdk/provider';
import { PronkError } from '../runtime/errors.js';
import type { Plan } from '../runtime/types.js';
import type { ChatCompletions } from './openai/chat.js';
import type { Embeddings } from './openai/embeddings.js';
import type {
  ChatChunkChoice,
  ChatCompletionChunk,
  ChatFinish,
  ChatMessage,
  ChatRequest,
  ToolCall,
  ToolCallDelta,
  Usage,
} from './openai/types.js';

const provider = 'pronk';

/** An engine, or a session of one. */
export interface ChatEngine {
  readonly plan: Pick<Plan, 'name' | 'architecture'>;
  readonly chat: { readonly completions: Pick<ChatCompletions, 'create'> };
}

/** An engine whose model makes embeddings. */
export interface EmbeddingEngine {
  readonly plan: Pick<Plan, 'name' | 'architecture'>;
  readonly embeddings: Pick<Embeddings, 'create'>;
}

const nameOf = ({ plan }: Pick<ChatEngine, 'plan'>): string => plan.name || plan.architecture;

/**
 * The engine as a language model: text, reasoning, tools and JSON, whole and streamed. Further fields of a request, such
 * as min_p or repetition_penalty, go in `providerOptions: { pronk: { … } }`.
 */
export function languageModel(engine: ChatEngine): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider,
    modelId: nameOf(engine),
    supportedUrls: {},
    async doGenerate(options) {
      const { request, warnings } = requestOf(options);
      const { id, created, model, choices, usage } = await engine.chat.completions.create(
        { ...request, stream: false },
        signalOf(options),
      );
      const { message, finish_reason: finish } = choices[0]!;
      const content: LanguageModelV4Content[] = [];
      if (message.reasoning_content) content.push({ type: 'reasoning', text: message.reasoning_content });
      if (message.content) content.push({ type: 'text', text: message.content });
      for (const call of message.tool_calls ?? []) content.push(callOf(call));
      return {
        content,
        finishReason: finishOf(finish),
        usage: usageOf(usage),
        warnings,
        response: { id, timestamp: new Date(created * 1000), modelId: model },
      };
    },
    async doStream(options) {
      const { request, warnings } = requestOf(options);
      const chunks = await engine.chat.completions.create(
        { ...request, stream: true, stream_options: { include_usage: true } },
        signalOf(options),
      );
      return { stream: streamOf(partsOf(chunks, warnings)) };
    },
  };
}

/** The engine as an embedding model. */
export function embeddingModel(engine: EmbeddingEngine): EmbeddingModelV4 {
  return {
    specificationVersion: 'v4',
    provider,
    modelId: nameOf(engine),
    maxEmbeddingsPerCall: undefined,
    supportsParallelCalls: false,
    async doEmbed({ values, dimensions, abortSignal }) {
      const { data, usage } = await engine.embeddings.create({ input: values }, signalOf({ abortSignal }));
      return {
        embeddings: data.map(({ embedding }) => embedding),
        usage: { tokens: usage.total_tokens },
        warnings: dimensions === undefined ? [] : [unsupported('dimensions')],
      };
    },
  };
}

// --- the request -----------------------------------------------------------------------------------------------------

const signalOf = ({ abortSignal }: { abortSignal?: AbortSignal | undefined }): { signal?: AbortSignal } =>
  abortSignal ? { signal: abortSignal } : {};

const unsupported = (feature: string): SharedV4Warning => ({ type: 'unsupported', feature });

function requestOf(options: LanguageModelV4CallOptions): { request: ChatRequest; warnings: SharedV4Warning[] } {
  const warnings: SharedV4Warning[] = [];
  const tools: NonNullable<ChatRequest['tools']> = [];
  for (const tool of options.tools ?? []) {
    if (tool.type !== 'function') {
      warnings.push(unsupported(`the tool '${tool.name}' of another provider`));
      continue;
    }
    const { name, description, inputSchema } = tool;
    const parameters = inputSchema as Record<string, unknown>;
    tools.push({ type: 'function', function: { name, parameters, ...(description !== undefined && { description }) } });
  }
  const request: ChatRequest = {
    messages: options.prompt.flatMap(messagesOf),
    max_completion_tokens: options.maxOutputTokens ?? null,
    temperature: options.temperature ?? null,
    top_p: options.topP ?? null,
    top_k: options.topK ?? null,
    presence_penalty: options.presencePenalty ?? null,
    frequency_penalty: options.frequencyPenalty ?? null,
    seed: options.seed ?? null,
    stop: options.stopSequences ?? null,
    ...(tools.length > 0 && { tools }),
    ...toolChoiceOf(options, tools.length > 0),
    ...formatOf(options),
    ...thinkingOf(options),
    ...(options.providerOptions?.[provider] as Partial<ChatRequest> | undefined),
  };
  return { request, warnings };
}

function toolChoiceOf({ toolChoice }: LanguageModelV4CallOptions, offered: boolean): Pick<ChatRequest, 'tool_choice'> {
  if (!toolChoice || !offered) return {};
  if (toolChoice.type !== 'tool') return { tool_choice: toolChoice.type };
  return { tool_choice: { type: 'function', function: { name: toolChoice.toolName } } };
}

function formatOf({ responseFormat: format }: LanguageModelV4CallOptions): Pick<ChatRequest, 'response_format'> {
  if (format?.type !== 'json') return {};
  if (!format.schema) return { response_format: { type: 'json_object' } };
  const schema = format.schema as Record<string, unknown>;
  return { response_format: { type: 'json_schema', json_schema: { name: format.name ?? 'answer', schema } } };
}

function thinkingOf({ reasoning }: LanguageModelV4CallOptions): Pick<ChatRequest, 'enable_thinking'> {
  if (reasoning === undefined || reasoning === 'provider-default') return {};
  return { enable_thinking: reasoning !== 'none' };
}

type Message = LanguageModelV4CallOptions['prompt'][number];

function messagesOf(message: Message): ChatMessage[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: message.content }];
    case 'user':
      return [{ role: 'user', content: textOf(message.content) }];
    case 'assistant':
      return [assistantOf(message)];
    case 'tool':
      return message.content.flatMap((part): ChatMessage[] =>
        part.type === 'tool-result'
          ? [{ role: 'tool', tool_call_id: part.toolCallId, content: resultOf(part.output) }]
          : [],
      );
  }
}

function textOf(parts: { type: string; text?: string }[]): string {
  const texts = parts.map(({ type, text }) => {
    if (type === 'text') return text!;
    throw new PronkError('unsupported', `a message has a part of the type '${type}'; only text is supported`);
  });
  return texts.join('\n');
}

function assistantOf({ content }: Message & { role: 'assistant' }): ChatMessage {
  const calls: ToolCall[] = [];
  let reasoning = '';
  const texts: { type: string; text?: string }[] = [];
  for (const part of content) {
    if (part.type === 'reasoning') reasoning += part.text;
    else if (part.type === 'tool-call') {
      const { toolCallId: id, toolName: name, input } = part;
      calls.push({ id, type: 'function', function: { name, arguments: JSON.stringify(input) } });
    } else texts.push(part);
  }
  return {
    role: 'assistant',
    content: textOf(texts),
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function resultOf(output: LanguageModelV4ToolResultOutput): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value;
    case 'json':
    case 'error-json':
      return JSON.stringify(output.value satisfies JSONValue);
    case 'execution-denied':
      return output.reason ?? 'it was not allowed to run';
    case 'content':
      return textOf(output.value);
  }
}

// --- the answer ------------------------------------------------------------------------------------------------------

const callOf = ({ id, function: { name, arguments: input } }: ToolCall) =>
  ({ type: 'tool-call', toolCallId: id, toolName: name, input }) as const;

const finishes: Record<ChatFinish, LanguageModelV4FinishReason['unified']> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool-calls',
};

const finishOf = (raw: ChatFinish): LanguageModelV4FinishReason => ({ unified: finishes[raw], raw });

function usageOf({
  prompt_tokens: total,
  completion_tokens: made,
  prompt_tokens_details,
}: Usage): LanguageModelV4Usage {
  const cacheRead = prompt_tokens_details.cached_tokens;
  return {
    inputTokens: { total, noCache: total - cacheRead, cacheRead, cacheWrite: undefined },
    outputTokens: { total: made, text: undefined, reasoning: undefined },
  };
}

/** The chunks of one choice as parts, of which text, reasoning and calls each begin and end. */
async function* partsOf(
  chunks: AsyncIterable<ChatCompletionChunk>,
  warnings: SharedV4Warning[],
): AsyncGenerator<LanguageModelV4StreamPart, void, void> {
  yield { type: 'stream-start', warnings };
  const open = new OpenPart();
  let finish: ChatFinish = 'stop';
  let headed = false;
  for await (const { id, created, model, choices, usage } of chunks) {
    if (!headed) yield { type: 'response-metadata', id, timestamp: new Date(created * 1000), modelId: model };
    headed = true;
    for (const choice of choices) {
      yield* open.take(choice);
      finish = choice.finish_reason ?? finish;
    }
    if (!usage) continue;
    yield* open.close();
    yield { type: 'finish', finishReason: finishOf(finish), usage: usageOf(usage) };
  }
}

type Part = Iterable<LanguageModelV4StreamPart>;

/** What is being written; the next of another kind ends it. */
class OpenPart {
  private kind: 'text' | 'reasoning' | null = null;
  private count = 0;
  private call: ToolCall | null = null;

  *take({ delta }: ChatChunkChoice): Part {
    if (delta.reasoning_content) yield* this.write('reasoning', delta.reasoning_content);
    if (delta.content) yield* this.write('text', delta.content);
    for (const call of delta.tool_calls ?? []) yield* this.writeCall(call);
  }

  *close(): Part {
    if (this.kind) yield { type: `${this.kind}-end`, id: String(this.count) };
    this.kind = null;
    if (!this.call) return;
    yield { type: 'tool-input-end', id: this.call.id };
    yield callOf(this.call);
    this.call = null;
  }

  private *write(kind: 'text' | 'reasoning', delta: string): Part {
    if (this.kind !== kind) {
      yield* this.close();
      this.kind = kind;
      yield { type: `${kind}-start`, id: String(++this.count) };
    }
    yield { type: `${kind}-delta`, id: String(this.count), delta };
  }

  private *writeCall({ id, function: made }: ToolCallDelta): Part {
    if (id !== undefined) {
      yield* this.close();
      this.call = { id, type: 'function', function: { name: made!.name!, arguments: '' } };
      yield { type: 'tool-input-start', id, toolName: made!.name! };
    }
    if (!made?.arguments) return;
    this.call!.function.arguments += made.arguments;
    yield { type: 'tool-input-delta', id: this.call!.id, delta: made.arguments };
  }
}

function streamOf<T>(parts: AsyncGenerator<T, void, void>): ReadableStream<T> {
  return new ReadableStream({
    async pull(to) {
      const { value, done } = await parts.next();
      if (done) to.close();
      else to.enqueue(value);
    },
    async cancel() {
      await parts.return();
    },
  });
}
