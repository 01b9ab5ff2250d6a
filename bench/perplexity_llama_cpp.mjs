// Perplexity of a text by llama.cpp (the npm package node-llama-cpp), as `pronk perplexity` counts it: the tokens of
// pronk's tokenizer, windows of the context length that begin at position 0, and each token but a window's first
// predicted. On the CPU, with an f16 KV cache.
//
// usage: node perplexity_llama_cpp.mjs PACKAGE MODEL.gguf TEXT CONTEXT [PRONK]
//   PACKAGE: the folder of node-llama-cpp; PRONK: default build/native/pronk
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [packageFolder, modelPath, textPath, contextText, pronk = 'build/native/pronk'] = process.argv.slice(2);
const contextSize = Number(contextText);
const { getLlama } = await import(pathToFileURL(resolve(join(packageFolder, 'dist/index.js'))).href);

const given = execFileSync(pronk, ['tokenize', '-m', modelPath], { input: readFileSync(textPath), maxBuffer: 1 << 28 });
const tokens = JSON.parse(given.toString());
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error' });
const model = await llama.loadModel({ modelPath: resolve(modelPath) });
const context = await model.createContext({ contextSize, batchSize: contextSize });
const sequence = context.getSequence();

const all = { temperature: 1, topK: 0, topP: 1, minP: 0 }; // nothing is cut off or changed
let [total, counted] = [0, 0];
for (let begin = 0; begin + 1 < tokens.length; begin += contextSize) {
  const window = tokens.slice(begin, begin + contextSize);
  if (window.length < 2) break;
  const wanted = window.slice(0, -1).map((token, i) => {
    const logits = { filter: { tokens: [window[i + 1]], includeTop: 1 } };
    return [token, { generateNext: { logits, totalLogitWeight: true, options: all } }];
  });
  const outputs = await sequence.controlledEvaluate(wanted);
  outputs.forEach(({ next: { logits, totalLogitWeight } }, i) => {
    total += Math.max(...logits.values()) + Math.log(totalLogitWeight) - logits.get(window[i + 1]);
    counted++;
  });
  await sequence.clearHistory();
}
console.log(JSON.stringify({ perplexity: Math.exp(total / counted), tokens: counted }));
await llama.dispose();
