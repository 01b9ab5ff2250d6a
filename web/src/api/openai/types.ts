// Requests and answers in the shapes of the OpenAI API, as its client types them.

/** A part of a message. */
export interface TextPart {
  type: 'text';
  text: string;
}

/** A call of a tool, in an answer or in the messages after it. */
export interface ToolCall {
  id: string;
  type: 'function';
  /** arguments: JSON, as the model wrote it. */
  function: { name: string; arguments: string };
}

/** A message of a conversation. */
export type ChatMessage =
  | { role: 'system' | 'developer' | 'user'; content: string | TextPart[]; name?: string }
  | {
      role: 'assistant';
      content?: string | TextPart[] | null;
      reasoning_content?: string | null;
      refusal?: string | null;
      name?: string;
      tool_calls?: ToolCall[];
    }
  | { role: 'tool'; content: string | TextPart[]; tool_call_id: string };

/** A tool that the model may call. */
export interface FunctionTool {
  type: 'function';
  function: { name: string; description?: string; parameters?: Record<string, unknown>; strict?: boolean | null };
}

/** Whether and which tool is to be called. */
export type ToolChoice = 'none' | 'auto' | 'required' | { type: 'function'; function: { name: string } };

/** The form of the answer. */
export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | {
      type: 'json_schema';
      json_schema: { name: string; description?: string; schema?: Record<string, unknown>; strict?: boolean | null };
    };

/** grammar: in EBNF as the W3C writes it, whose first rule is `root`; only pronk has it. */
export type GrammarFormat = { type: 'grammar'; grammar: string };

/** What requests for text have in common. Fields that are null count as not given. */
export interface SamplingRequest {
  /** Only repeated in the answer: an engine has one model. */
  model?: string;
  max_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  top_k?: number | null;
  min_p?: number | null;
  seed?: number | null;
  n?: number | null;
  stop?: string | string[] | null;
  logit_bias?: Record<string, number> | null;
  frequency_penalty?: number | null;
  presence_penalty?: number | null;
  repetition_penalty?: number | null;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  user?: string;
}

/** What chat.completions.create() takes. */
export interface ChatRequest extends SamplingRequest {
  messages: ChatMessage[];
  max_completion_tokens?: number | null;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  response_format?: ResponseFormat | GrammarFormat;
  tools?: FunctionTool[];
  tool_choice?: ToolChoice;
  parallel_tool_calls?: boolean;
  /** Handed to the chat template; a short form of chat_template_kwargs.enable_thinking. */
  enable_thinking?: boolean | null;
  /** A Jinja template in place of the model's own; an empty one: of a form that its vocabulary has marks for. */
  chat_template?: string | null;
  /** Further values for the chat template. */
  chat_template_kwargs?: Record<string, unknown> | null;
}

/** What completions.create() takes. */
export interface CompletionRequest extends SamplingRequest {
  prompt: string | string[] | number[] | number[][];
  /** How many likely tokens are told at each place, at most 5. */
  logprobs?: number | null;
}

/** What embeddings.create() takes. */
export interface EmbeddingRequest {
  input: string | string[] | number[] | number[][];
  model?: string;
  encoding_format?: 'float' | 'base64';
  user?: string;
}

/** Tokens of a request and its answer. */
export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** cached_tokens: found in the KV cache. */
  prompt_tokens_details: { cached_tokens: number };
}

/** A token and its log probability. */
export interface TopLogprob {
  token: string;
  bytes: number[] | null;
  logprob: number;
}

/** A token of the answer, with the likeliest at its place. */
export interface TokenLogprob extends TopLogprob {
  top_logprobs: TopLogprob[];
}

/** Log probabilities of an answer. */
export interface ChatLogprobs {
  content: TokenLogprob[] | null;
  refusal: null;
}

/** Why an answer ended. */
export type ChatFinish = 'stop' | 'length' | 'tool_calls';

/** What the model said. */
export interface ChatAnswer {
  role: 'assistant';
  content: string | null;
  refusal: null;
  /** What a reasoning model thought before it answered. */
  reasoning_content?: string;
  tool_calls?: ToolCall[];
}

/** What chat.completions.create() gives. */
export interface ChatCompletion {
  id: string;
  object: 'chat.completion';
  created: number;
  model: string;
  choices: { index: number; message: ChatAnswer; logprobs: ChatLogprobs | null; finish_reason: ChatFinish }[];
  usage: Usage;
}

/** A part of a call, in a stream. */
export interface ToolCallDelta {
  index: number;
  id?: string;
  type?: 'function';
  function?: { name?: string; arguments?: string };
}

/** What a chunk adds to the answer. */
export interface ChatDelta {
  role?: 'assistant';
  content?: string | null;
  reasoning_content?: string;
  tool_calls?: ToolCallDelta[];
}

/** A choice in a chunk. */
export interface ChatChunkChoice {
  index: number;
  delta: ChatDelta;
  logprobs: ChatLogprobs | null;
  finish_reason: ChatFinish | null;
}

/** A part of a streamed answer. */
export interface ChatCompletionChunk {
  id: string;
  object: 'chat.completion.chunk';
  created: number;
  model: string;
  /** Empty in the last chunk, which has the usage. */
  choices: ChatChunkChoice[];
  /** With stream_options.include_usage: null in all chunks but the last. */
  usage?: Usage | null;
}

/** Log probabilities of a completion. */
export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: number[];
  top_logprobs: Record<string, number>[];
  text_offset: number[];
}

/** What completions.create() gives, whole or as a chunk. */
export interface Completion {
  id: string;
  object: 'text_completion';
  created: number;
  model: string;
  choices: {
    index: number;
    text: string;
    logprobs: CompletionLogprobs | null;
    /** In a stream: '' until the last chunk of the choice. */
    finish_reason: 'stop' | 'length';
  }[];
  usage?: Usage;
}

/** What embeddings.create() gives. */
export interface EmbeddingAnswer {
  object: 'list';
  /** embedding: base64 of little-endian float32, where that was asked for. */
  data: { object: 'embedding'; index: number; embedding: number[] }[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
}

/** What a request may have beside its fields. */
export interface RequestOptions {
  signal?: AbortSignal;
}
