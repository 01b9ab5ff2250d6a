// What a constraint costs: the time of a token of JSON against that of a token of a free answer as long, of the model in the box on
// the CPU, over 200 prompts. `npm run build`, then: node scripts/time-constrained.mjs [PROMPTS]
import { Pronk } from '../dist/api/node.js';

const questions = [
  'What is the weather in Paris?',
  'What time is it in Oslo?',
  'Who are you?',
  'What is 7 + 8?',
  'Name four animals.',
  'Tell me a story about a brave rabbit named Milo.',
  'What is the opposite of cold?',
  'Write me a poem about { and }.',
];
const schema = {
  type: 'object',
  properties: {
    answer: { type: 'string', maxLength: 60 },
    mood: { enum: ['good', 'bad'] },
    numbers: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 99 }, maxItems: 3 },
  },
  required: ['answer', 'mood', 'numbers'],
};
const constraints = { 'a JSON object': { kind: 'json' }, 'JSON of a schema': { kind: 'schema', schema } };
const mostTokens = 64;
const count = Number(process.argv[2] ?? 200);

const engine = await Pronk.load('builtin', { device: 'cpu', threads: 1 });

/** Milliseconds of the tokens after the first. */
async function decode(prompt, options) {
  const { generatedTokens, timings } = await engine.generate(prompt, options).result;
  return { tokens: generatedTokens, time: timings.totalMs - timings.firstTokenMs };
}

async function compare(name, constraint) {
  const compiling = performance.now();
  await engine.generate('a', { constraint, maxTokens: 1 }).result;
  const compiled = performance.now() - compiling;
  const sums = { tokens: 0, free: 0, constrained: 0, ratios: [] };
  for (let i = 0; i < count; i++) {
    const prompt = `<|im_start|>user\n${questions[i % questions.length]}<|im_end|>\n<|im_start|>assistant\n`;
    const ids = await engine.tokenize(prompt, { special: true });
    const sampling = { temperature: 1, seed: i };
    const made = await decode(ids, { ...sampling, maxTokens: mostTokens, constraint });
    const free = await decode(ids, { ...sampling, maxTokens: made.tokens, ignoreEos: true });
    if (free.tokens !== made.tokens) throw new Error(`${free.tokens} tokens against ${made.tokens}`);
    sums.tokens += made.tokens - 1;
    sums.free += free.time;
    sums.constrained += made.time;
    sums.ratios.push(made.time / free.time);
  }
  const middle = sums.ratios.sort((a, b) => a - b)[count >> 1].toFixed(2);
  const each = (time) => `${((1000 * time) / sums.tokens).toFixed(0)} us`;
  console.log(
    `${name}: ${count} answers, ${sums.tokens} tokens, each ${each(sums.free)} free and ${each(sums.constrained)} constrained: ` +
      `ratio ${(sums.constrained / sums.free).toFixed(2)}, of the middle answer ${middle}; before the first ${compiled.toFixed(0)} ms`,
  );
}

await engine.generate('a', { maxTokens: 100, ignoreEos: true }).result;
for (const [name, constraint] of Object.entries(constraints)) await compare(name, constraint);
await engine.unload();
