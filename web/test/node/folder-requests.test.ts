// What a folder of 8B in AQLM asks of a server: few requests, however many tensors it has.
import { expect, it } from 'vitest';
import { cachedUrl } from '../../src/runtime/cached-source.js';
import { findFolder } from '../../src/runtime/folder-files.js';
import { FolderModule } from '../../src/runtime/folder-module.js';
import { openFolder } from '../../src/runtime/folder-source.js';
import type { Platform } from '../../src/runtime/platform.js';
import { jsonBytes } from '../support/tiny-folder.js';

const { nodePlatform } = (await import('../../dist/runtime/platform-node.js' as string)) as {
  nodePlatform: Platform;
};

const [layers, width, ff, kvWidth, vocab, group, books] = [32, 4096, 14336, 1024, 128256, 8, 2];

const config = {
  model_type: 'llama',
  num_hidden_layers: layers,
  hidden_size: width,
  intermediate_size: ff,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  vocab_size: vocab,
  rope_theta: 500000,
  tie_word_embeddings: false,
  quantization_config: {
    quant_method: 'aqlm',
    in_group_size: group,
    out_group_size: 1,
    num_codebooks: books,
    nbits_per_codebook: 8,
  },
};

const bytesOf: Record<string, number> = { I8: 1, F16: 2 };

function header(): { text: Uint8Array; data: number } {
  const tensors: Record<string, unknown> = {};
  let data = 0;
  const add = (name: string, dtype: string, shape: number[]): void => {
    const bytes = shape.reduce((a, b) => a * b, bytesOf[dtype]!);
    tensors[name] = { dtype, shape, data_offsets: [data, data + bytes] };
    data += bytes;
  };
  const matrix = (name: string, rows: number, columns: number): void => {
    add(`${name}.codes`, 'I8', [rows, columns / group, books]);
    add(`${name}.codebooks`, 'F16', [books, 256, 1, group]);
    add(`${name}.scales`, 'F16', [rows, 1, 1, 1]);
  };
  add('model.embed_tokens.weight', 'F16', [vocab, width]);
  for (let i = 0; i < layers; i++) {
    const layer = `model.layers.${i}`;
    add(`${layer}.input_layernorm.weight`, 'F16', [width]);
    matrix(`${layer}.self_attn.q_proj`, width, width);
    matrix(`${layer}.self_attn.k_proj`, kvWidth, width);
    matrix(`${layer}.self_attn.v_proj`, kvWidth, width);
    matrix(`${layer}.self_attn.o_proj`, width, width);
    add(`${layer}.post_attention_layernorm.weight`, 'F16', [width]);
    matrix(`${layer}.mlp.gate_proj`, ff, width);
    matrix(`${layer}.mlp.up_proj`, ff, width);
    matrix(`${layer}.mlp.down_proj`, width, ff);
  }
  add('model.norm.weight', 'F16', [width]);
  add('lm_head.weight', 'F16', [vocab, width]);
  return { text: jsonBytes(tensors), data };
}

const zeros = new Uint8Array(4 << 20);

/** A body of `head` and then zeros, from `start` to `end`. */
function body(head: Uint8Array, start: number, end: number): ReadableStream<Uint8Array> {
  let at = start;
  return new ReadableStream({
    pull(controller) {
      if (at >= end) return controller.close();
      const chunk =
        at < head.length
          ? head.subarray(at, Math.min(head.length, end))
          : zeros.subarray(0, Math.min(zeros.length, end - at));
      at += chunk.length;
      controller.enqueue(chunk);
    },
  });
}

it('is at most 40 requests', async () => {
  const { text, data } = header();
  const weights = new Uint8Array(8 + text.length);
  new DataView(weights.buffer).setUint32(0, text.length, true);
  weights.set(text, 8);
  const size = weights.length + data;
  const requests: string[] = [];
  const fetchFake = (async (url: string, init: RequestInit = {}) => {
    const name = url.split('/').pop()!;
    const range = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init.headers).get('range')!)!;
    requests.push(`${name} ${range[0]}`);
    const small = name === 'config.json' ? jsonBytes(config) : null;
    if (!small && name !== 'model.safetensors') return new Response('no', { status: 404 });
    const length = small ? small.length : size;
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, length)];
    const headers = { 'Content-Range': `bytes ${start}-${end - 1}/${length}` };
    return new Response(body(small ?? weights, start, end), { status: 206, headers });
  }) as typeof fetch;
  const platform = {
    ...nodePlatform,
    source: (spec) => cachedUrl(spec as never, {} as never, { fetch: fetchFake }),
  } satisfies Platform;
  const found = await findFolder(platform, [{ kind: 'url', url: 'http://models.test/8b/', cache: false }]);
  if (Array.isArray(found)) throw new Error('no folder');
  const source = await openFolder(
    found,
    async () => new FolderModule(await platform.folderModule()),
    platform.startMd5,
  );
  const planned = requests.length;
  let at = 0;
  for (let part: Uint8Array; (part = await source.read(at, 4 << 20, source.size)).length > 0; ) at += part.length;
  await source.close();
  console.log(`${(size / 1e9).toFixed(2)} GB: ${requests.length} requests, ${planned} of them before the weights`);
  expect(at).toBe(source.size);
  expect(at).toBeGreaterThan(data);
  expect(requests.slice(0, planned).filter((request) => request.startsWith('model.safetensors '))).toEqual([
    'model.safetensors bytes=0-262143',
  ]);
  expect(requests.length).toBeLessThanOrEqual(40);
}, 60_000);
