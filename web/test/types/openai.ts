// The package's shapes beside those of OpenAI's client: what is given to one can be given to the other. Nothing runs here;
// the compiler is the test ("lint" in package.json).
import type OpenAI from 'openai';
import { expectTypeOf } from 'vitest';
import type * as ours from '../../src/api/openai/types.js';

type Params = OpenAI.Chat.Completions.ChatCompletionCreateParams;
type OwnFields = 'top_k' | 'min_p' | 'repetition_penalty' | 'enable_thinking' | 'chat_template_kwargs';

// Answers are answers of the client.
expectTypeOf<ours.ChatCompletion>().toExtend<OpenAI.Chat.Completions.ChatCompletion>();
expectTypeOf<ours.ChatCompletionChunk>().toExtend<OpenAI.Chat.Completions.ChatCompletionChunk>();
expectTypeOf<ours.Completion>().toExtend<OpenAI.Completions.Completion>();
expectTypeOf<ours.EmbeddingAnswer>().toExtend<OpenAI.CreateEmbeddingResponse>();

// Requests are requests of the client, but for the fields that only pronk has.
type Chat = Omit<ours.ChatRequest, 'model' | 'stream' | 'response_format' | OwnFields> & {
  model: string;
  response_format?: ours.ResponseFormat; // grammars are pronk's own
};
expectTypeOf<Chat>().toExtend<Params>();
type Text = Omit<ours.CompletionRequest, 'model' | 'stream' | OwnFields> & { model: string };
expectTypeOf<Text>().toExtend<OpenAI.CompletionCreateParams>();
expectTypeOf<ours.EmbeddingRequest & { model: string }>().toExtend<OpenAI.EmbeddingCreateParams>();

// Requests of the client can be given, as far as their fields and parts are supported.
type Same = Extract<keyof Params, Exclude<keyof ours.ChatRequest, 'messages' | 'tools' | 'tool_choice' | 'model'>>;
expectTypeOf<Pick<Params, Same>>().toExtend<Partial<ours.ChatRequest>>();
expectTypeOf<OpenAI.Chat.Completions.ChatCompletionFunctionTool>().toExtend<ours.FunctionTool>();
expectTypeOf<OpenAI.Chat.Completions.ChatCompletionNamedToolChoice>().toExtend<ours.ToolChoice>();
expectTypeOf<OpenAI.Chat.Completions.ChatCompletionSystemMessageParam>().toExtend<ours.ChatMessage>();
expectTypeOf<OpenAI.Chat.Completions.ChatCompletionToolMessageParam>().toExtend<ours.ChatMessage>();
type UserMessage = OpenAI.Chat.Completions.ChatCompletionUserMessageParam & { content: string };
expectTypeOf<UserMessage>().toExtend<ours.ChatMessage>();
