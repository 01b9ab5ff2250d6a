// What folders ask of a server: few requests, however many tensors there are; of a file for each tensor two, several at once.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PlainFolder } from '../../src/runtime/cache-folder.js';
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
    const name = url.replace(/.*\/8b\//, '');
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

/** Llama 3.2 1B's shapes as AQLM.rs has them, but for a small vocabulary. */
function oneBillion(): Map<string, { head: Uint8Array; size: number }> {
  const files = new Map<string, { head: Uint8Array; size: number }>();
  const sizes: Record<string, number> = { F32: 4, U8: 1, I8: 1 };
  const add = (name: string, dtype: string, shape: number[]): void => {
    const bytes = shape.reduce((a, b) => a * b, sizes[dtype]!);
    const text = jsonBytes({ [name]: { dtype, shape, data_offsets: [0, bytes] } });
    const head = new Uint8Array(8 + text.length);
    new DataView(head.buffer).setUint32(0, text.length, true);
    head.set(text, 8);
    files.set(`${name}.safetensors`, { head, size: head.length + bytes });
  };
  const [width, hidden, rows] = [2048, 8192, 1024];
  add('model.embed_tokens.weight_nf4', 'U8', [rows, width / 2]);
  add('model.embed_tokens.weight_scales', 'F32', [(rows * width) / 64]);
  for (let i = 0; i < 16; i++) {
    const matrix = (name: string, out: number, columns: number): void => {
      add(`model.layers.${i}.${name}.codes_120`, 'U8', [columns / 8, 2, out]);
      add(`model.layers.${i}.${name}.codebooks`, 'F32', [2, 256, 1, 8]);
      add(`model.layers.${i}.${name}.scales`, 'F32', [out, 1, 1, 1]);
    };
    add(`model.layers.${i}.input_layernorm.weight`, 'F32', [width]);
    for (const [name, out] of Object.entries({ q: width, k: 512, v: 512, o: width })) {
      matrix(`self_attn.${name}_proj`, out, width);
    }
    matrix('mlp.gate_proj', hidden, width);
    matrix('mlp.up_proj', hidden, width);
    matrix('mlp.down_proj', width, hidden);
    add(`model.layers.${i}.post_attention_layernorm.weight`, 'F32', [width]);
  }
  add('lm_head.0.1.weight_int8', 'I8', [rows, width]);
  add('lm_head.0.1.weight_max_values', 'F32', [width]);
  add('model.norm.weight', 'F32', [width]);
  return files;
}

it('is at most two requests a file where each tensor has one', async () => {
  const files = oneBillion();
  const asked: string[] = [];
  let [open, most] = [0, 0];
  const fetchFake = (async (url: string, init: RequestInit = {}) => {
    const name = url.split('/').pop()!;
    asked.push(name);
    most = Math.max(most, ++open);
    await new Promise((resolve) => setTimeout(resolve));
    open--;
    const file = files.get(name);
    if (!file) return new Response('no', { status: 404 });
    const range = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init.headers).get('range')!)!;
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, file.size)];
    const headers = { 'Content-Range': `bytes ${start}-${end - 1}/${file.size}` };
    return new Response(body(file.head, start, end), { status: 206, headers });
  }) as typeof fetch;
  const platform = {
    ...nodePlatform,
    source: (spec) => cachedUrl(spec as never, {} as never, { fetch: fetchFake }),
  } satisfies Platform;
  const found = await findFolder(platform, [{ kind: 'url', url: 'http://models.test/1b/', cache: false }]);
  if (Array.isArray(found)) throw new Error('no folder');
  const source = await openFolder(
    found,
    async () => new FolderModule(await platform.folderModule()),
    nodePlatform.startMd5,
  );
  const planned = asked.length;
  let at = 0;
  for (let part: Uint8Array; (part = await source.read(at, 4 << 20, source.size)).length > 0; ) at += part.length;
  await source.close();
  console.log(`${files.size} files: ${asked.length} requests, ${planned} of them before the weights, ${most} at once`);
  expect(at).toBe(source.size);
  expect(most).toBeGreaterThan(8);
  expect(most).toBeLessThanOrEqual(16);
  expect(files.size).toBe(16 * 23 + 5);
  for (const name of files.keys()) expect(asked.filter((each) => each === name).length).toBeLessThanOrEqual(3);
  // Codes and the two large tables are larger than what is read for a header.
  expect(asked.length).toBeLessThanOrEqual(files.size + 16 * 7 + 3 + 10);
}, 60_000);

/** A file of those tensors, in that order. */
function weightsFile(tensors: [name: string, dtype: 'BF16' | 'U8', ...shape: number[]][]): Uint8Array {
  const header: Record<string, unknown> = {};
  let data = 0;
  for (const [name, dtype, ...shape] of tensors) {
    const bytes = shape.reduce((a, b) => a * b, dtype === 'U8' ? 1 : 2);
    header[name] = { dtype, shape, data_offsets: [data, data + bytes] };
    data += bytes;
  }
  const text = jsonBytes(header);
  const file = new Uint8Array(8 + text.length + data);
  new DataView(file.buffer).setUint32(0, text.length, true);
  file.set(text, 8);
  for (let i = 8 + text.length; i < file.length; i++) file[i] = (i * 2654435761) >>> 24;
  return file;
}

/** A server of one folder that counts what is asked of its weights. */
class CountingServer {
  requests = 0;
  sent = 0; // bytes

  constructor(
    private readonly config: object,
    private readonly file: Uint8Array,
  ) {}

  readonly fetch = (async (url: string, init: RequestInit = {}) => {
    const name = url.split('/').pop()!;
    const bytes = name === 'config.json' ? jsonBytes(this.config) : name === 'model.safetensors' ? this.file : null;
    if (!bytes) return new Response('no', { status: 404 });
    const range = /^bytes=(\d+)-(\d+)$/.exec(new Headers(init.headers).get('range') ?? '');
    if (!range) return new Response(null, { headers: { 'Content-Length': `${bytes.length}` } });
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)];
    const ofWeights = bytes === this.file;
    if (ofWeights) this.requests++;
    const headers = { 'Content-Range': `bytes ${start}-${end - 1}/${bytes.length}` };
    let at = start;
    const counted = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const chunk = bytes.slice(at, Math.min(end, at + 65536));
        if (ofWeights) this.sent += chunk.length;
        if (chunk.length > 0) controller.enqueue(chunk);
        at += chunk.length;
        if (at >= end) controller.close();
      },
    });
    return new Response(counted, { status: 206, headers });
  }) as typeof fetch;

  /** The hash of the whole GGUF file that the folder is read as. cache: a folder; null: none. */
  async read(cache: string | null): Promise<string> {
    this.requests = this.sent = 0;
    const hooks = { folder: async () => new PlainFolder(cache!), startHash: nodePlatform.startMd5 };
    const platform = {
      ...nodePlatform,
      source: (spec) => cachedUrl({ ...spec, cache: cache !== null } as never, hooks, { fetch: this.fetch }),
    } satisfies Platform;
    const found = await findFolder(platform, [{ kind: 'url', url: 'http://models.test/m/', cache: cache !== null }]);
    if (Array.isArray(found)) throw new Error('no folder');
    const module = async (): Promise<FolderModule> => new FolderModule(await platform.folderModule());
    const source = await openFolder(found, module, platform.startMd5);
    const hash = createHash('sha256');
    let at = 0;
    for (let part: Uint8Array; (part = await source.read(at, 4 << 20, source.size)).length > 0; ) {
      hash.update(part);
      at += part.length;
    }
    await source.close();
    const where = cache === null ? 'no cache' : 'a cache';
    console.log(`${where}: ${this.requests} requests, ${this.sent} bytes of ${this.file.length}`);
    return hash.digest('hex');
  }
}

/** Two requests, for its header and for the rest, give each byte of the file once; once kept, none. */
async function expectTwoRequests(server: CountingServer, bytes: number): Promise<void> {
  const cache = mkdtempSync(join(tmpdir(), 'pronk-requests-'));
  try {
    const expected = await server.read(cache);
    expect([server.requests, server.sent]).toEqual([2, bytes]);
    expect(await server.read(cache)).toBe(expected);
    expect(server.requests).toBe(0);
    expect(await server.read(null)).toBe(expected);
    expect([server.requests, server.sent]).toEqual([2, bytes]);
  } finally {
    rmSync(cache, { recursive: true });
  }
}

const common = { num_attention_heads: 4, num_key_value_heads: 4, max_position_embeddings: 64, vocab_size: 96 };

/** Like Qwen3-MoE: experts' matrices lie by turns and by their names, and the engine wants all of one kind, by numbers. */
it('is each byte of a file of experts once', async () => {
  const [layers, experts, hidden, inner] = [2, 16, 256, 2048];
  const tensors: Parameters<typeof weightsFile>[0] = [['model.embed_tokens.weight', 'BF16', 96, hidden]];
  for (let i = 0; i < layers; i++) {
    const layer = `model.layers.${i}`;
    tensors.push([`${layer}.input_layernorm.weight`, 'BF16', hidden]);
    for (const e of [...Array(experts).keys()].map(String).sort()) {
      tensors.push([`${layer}.mlp.experts.${e}.down_proj.weight`, 'BF16', hidden, inner]);
      tensors.push([`${layer}.mlp.experts.${e}.gate_proj.weight`, 'BF16', inner, hidden]);
      tensors.push([`${layer}.mlp.experts.${e}.up_proj.weight`, 'BF16', inner, hidden]);
    }
    tensors.push([`${layer}.mlp.gate.weight`, 'BF16', experts, hidden]);
    tensors.push([`${layer}.post_attention_layernorm.weight`, 'BF16', hidden]);
    for (const norm of ['q', 'k']) tensors.push([`${layer}.self_attn.${norm}_norm.weight`, 'BF16', 64]);
    for (const matrix of ['q', 'k', 'v', 'o']) {
      tensors.push([`${layer}.self_attn.${matrix}_proj.weight`, 'BF16', hidden, hidden]);
    }
  }
  tensors.push(['model.norm.weight', 'BF16', hidden]);
  const config = {
    ...common,
    model_type: 'qwen3_moe',
    num_hidden_layers: layers,
    hidden_size: hidden,
    intermediate_size: 512,
    head_dim: 64,
    num_experts: experts,
    num_experts_per_tok: 2,
    moe_intermediate_size: inner,
    tie_word_embeddings: true,
  };
  const file = weightsFile(tensors);
  await expectTwoRequests(new CountingServer(config, file), file.length);
}, 60_000);

/** Like BitNet b1.58: the matrices' scales lie between the norms, far before their codes. */
it('is each byte of a file of ternary matrices once', async () => {
  const [layers, hidden, inner] = [4, 512, 1024];
  const tensors: Parameters<typeof weightsFile>[0] = [['model.embed_tokens.weight', 'BF16', 96, hidden]];
  const codes: typeof tensors = [];
  for (let i = 0; i < layers; i++) {
    const layer = `model.layers.${i}`;
    const matrix = (name: string, rows: number, columns: number): void => {
      tensors.push([`${layer}.${name}.weight_scale`, 'BF16', 1]);
      codes.push([`${layer}.${name}.weight`, 'U8', rows / 4, columns]);
    };
    tensors.push([`${layer}.input_layernorm.weight`, 'BF16', hidden]);
    matrix('mlp.down_proj', hidden, inner);
    tensors.push([`${layer}.mlp.ffn_sub_norm.weight`, 'BF16', inner]);
    matrix('mlp.gate_proj', inner, hidden);
    matrix('mlp.up_proj', inner, hidden);
    tensors.push([`${layer}.post_attention_layernorm.weight`, 'BF16', hidden]);
    tensors.push([`${layer}.self_attn.attn_sub_norm.weight`, 'BF16', hidden]);
    for (const name of ['k', 'o', 'q', 'v']) matrix(`self_attn.${name}_proj`, hidden, hidden);
  }
  tensors.push(['model.norm.weight', 'BF16', hidden]);
  const config = {
    ...common,
    model_type: 'bitnet',
    num_hidden_layers: layers,
    hidden_size: hidden,
    intermediate_size: inner,
    tie_word_embeddings: true,
    quantization_config: { quant_method: 'bitnet', linear_class: 'autobitlinear', quantization_mode: 'offline' },
  };
  const file = weightsFile([...tensors, ...codes]);
  await expectTwoRequests(new CountingServer(config, file), file.length);
}, 60_000);
