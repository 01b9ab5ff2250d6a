// Requests that are made of the server by OpenAI's client, and of the package in Chromium.
import type { ChatRequest, CompletionRequest } from '../../src/api/openai/types.js';

export const user = (content: string) => [{ role: 'user' as const, content }];

/** With every field set; what it asks for is two texts and how likely their tokens were. */
export const everyField = {
  messages: user('Tell me a story.'),
  max_completion_tokens: 12,
  temperature: 0.7,
  top_p: 0.9,
  top_k: 30,
  min_p: 0.01,
  seed: 5,
  n: 2,
  stop: ['###', '\n\n\n'],
  user: 'me',
  frequency_penalty: 0.5,
  presence_penalty: 0.5,
  repetition_penalty: 1.05,
  logit_bias: { '5': -100 },
  logprobs: true,
  top_logprobs: 2,
  response_format: { type: 'text' as const },
  tools: [{ type: 'function' as const, function: { name: 'get_time', parameters: {} } }],
  tool_choice: 'none' as const,
  parallel_tool_calls: false,
  enable_thinking: false,
  chat_template_kwargs: { any: 1 },
} satisfies ChatRequest;

const moodSchema = { type: 'object', properties: { mood: { enum: ['good', 'bad'] } }, required: ['mood'] };

/** For JSON of a schema. */
export const moodRequest = {
  messages: user('How are you?'),
  response_format: { type: 'json_schema' as const, json_schema: { name: 'mood', schema: moodSchema, strict: true } },
} satisfies ChatRequest;

/** For a call of a tool that it names. */
export const forcedRequest = {
  messages: user('How are you?'),
  tools: [{ type: 'function' as const, function: { name: 'set_mood', parameters: moodSchema } }],
  tool_choice: { type: 'function' as const, function: { name: 'set_mood' } },
} satisfies ChatRequest;

/** Which the model in the box answers by a call with the arguments {"city": "Paris"}. */
export const weatherRequest = {
  messages: user('What is the weather in Paris?'),
  temperature: 0,
  tools: [
    {
      type: 'function' as const,
      function: {
        name: 'get_weather',
        description: 'Get the weather in a city',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    },
  ],
} satisfies ChatRequest;

export const storyRequest = { prompt: 'Once upon a time', max_tokens: 10, temperature: 0 } satisfies CompletionRequest;
