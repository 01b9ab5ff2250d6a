// Folders in the built package, on the CPU of Node: each way to name one, and what is asked of a server.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { LoadOptions, ModelSource, Pronk as PronkType } from '../../src/api/node.js';
import { findFolder } from '../../src/runtime/folder-files.js';
import { FolderModule } from '../../src/runtime/folder-module.js';
import { openFolder } from '../../src/runtime/folder-source.js';
import type { Platform } from '../../src/runtime/platform.js';
import { nodePlatform } from '../../src/runtime/platform-node.js';
import { type FolderServer, serveFolder } from '../support/folder-server.js';
import { randomBytes } from '../support/random.js';
import { readWhole } from '../support/read-whole.js';
import { type Folder, jsonBytes, safetensors, tinyFolder } from '../support/tiny-folder.js';
import { chatMl, tinyModel } from '../support/tiny-gguf.js';

const { nodePlatform: platform } = (await import('../../dist/runtime/platform-node.js' as string)) as {
  nodePlatform: Platform;
};
const { Pronk } = (await import('../../dist/api/node.js' as string)) as typeof import('../../src/api/node.js');

const temporary = mkdtempSync(join(tmpdir(), 'pronk-folder-'));
afterAll(() => rmSync(temporary, { recursive: true }));

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function serve(files: Folder, list = false): Promise<FolderServer> {
  const server = await serveFolder(files, list);
  open.push(server);
  return server;
}

const options: LoadOptions = { device: 'cpu', threads: 1, cache: false };

async function load(source: ModelSource, more: LoadOptions = {}): Promise<PronkType> {
  const engine = await Pronk.load(source, { ...options, ...more });
  open.push({ close: () => engine.unload() });
  return engine;
}

interface Answer {
  ids: number[];
  tokens: (number | null)[];
  text: string;
}

const prompt = 'the cat, a hat.';

async function answer(engine: PronkType): Promise<Answer> {
  const ids = await engine.tokenize(prompt);
  const tokens: (number | null)[] = [];
  let text = '';
  for await (const piece of engine.generate(ids, { temperature: 0, maxTokens: 24, ignoreEos: true })) {
    tokens.push(piece.token);
    text += piece.text;
  }
  return { ids, tokens, text };
}

/** What the same model says as a GGUF file. */
const expected = await (async () => {
  const engine = await Pronk.load(tinyModel({ chatTemplate: chatMl })[0]!, options);
  const said = await answer(engine);
  await engine.unload();
  return said;
})();

function files(folder: Folder): File[] {
  return [...folder].map(([name, bytes]) => new File([bytes], name));
}

function onDisk(folder: Folder): string {
  const path = mkdtempSync(join(temporary, 'model-'));
  for (const [name, bytes] of folder) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), bytes);
  }
  return path;
}

const golden = (name: string): URL => new URL(`../../../tests/golden/folders/${name}.json`, import.meta.url);

/** The numbers of a tensor, as tools/folder_models.py has them. */
function hashedWeights(name: string, shape: number[]): Float32Array<ArrayBuffer> {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 16777619);
  const values = new Float32Array(shape.reduce((product, each) => product * each, 1));
  const most = shape.length > 1 ? Math.sqrt(3 / shape[shape.length - 1]!) : 0.25;
  const middle = shape.length < 2 && /norm|ln_/i.test(name) ? 1 : 0;
  for (let i = 0; i < values.length; i++) {
    let x = hash + Math.imul(i, 0x9e3779b9);
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
    values[i] = ((x >>> 8) / (1 << 23) - 1) * most + middle;
  }
  return values;
}

describe('a folder says what the same model says as a GGUF file', () => {
  it.each([1, 3])('as a list of files, with %i of weights', async (shards) => {
    const engine = await load(files(tinyFolder(shards)));
    expect(await answer(engine)).toEqual(expected);
    expect(engine.plan.chat).toBe(true);
  });

  it('by its path, with and without a slash, and by that of its config.json', async () => {
    const path = onDisk(tinyFolder(2));
    for (const name of [path, `${path}/`, join(path, 'config.json'), join(path, 'model.safetensors.index.json')]) {
      expect(await answer(await load(name))).toEqual(expected);
    }
  });

  it('by its URL, and by those of its files', async () => {
    const server = await serve(tinyFolder(2));
    for (const name of ['', 'config.json?x=1', 'model.safetensors.index.json']) {
      expect(await answer(await load(server.url + name))).toEqual(expected);
    }
  });

  it('by the name of its repository, whose list is asked for once', async () => {
    const server = await serve(tinyFolder(2), true);
    expect(await answer(await load('hf:owner/repo', { hubEndpoint: server.origin }))).toEqual(expected);
    expect(server.requests.filter((request) => request === 'LIST')).toHaveLength(1);
    expect(server.requests.filter((request) => request.includes('chat_template'))).toHaveLength(0);
  });

  it('by the name of its repository without a network, once it is kept', async () => {
    const server = await serve(tinyFolder(2), true);
    const more = { hubEndpoint: server.origin, cache: mkdtempSync(join(temporary, 'cache-')) };
    expect(await answer(await load('hf:owner/repo', more))).toEqual(expected);
    await server.close();
    expect(await answer(await load('hf:owner/repo', more))).toEqual(expected);
  });

  it('of the uppermost of a chosen directory', async () => {
    const chosen = [...files(tinyFolder(2)), new File(['{}'], 'config.json'), new File(['{}'], 'notes.json')];
    chosen.forEach((file, i) => {
      const within = i < chosen.length - 2 ? 'model/' : 'model/onnx/';
      Object.defineProperty(file, 'webkitRelativePath', { value: within + file.name });
    });
    expect(await answer(await load(chosen.reverse()))).toEqual(expected);
  });
});

describe('the pooling in a folder within', () => {
  const folder = tinyFolder(1).set('1_Pooling/config.json', jsonBytes({ pooling_mode: 'max' }));
  const refused = expect.objectContaining({ message: expect.stringContaining("pooling by 'max': not supported") });

  it('is read of a chosen directory', async () => {
    const chosen = [...folder].map(([name, bytes]) => {
      const file = new File([bytes], name.replace(/.*\//, ''));
      return Object.defineProperty(file, 'webkitRelativePath', { value: `model/${name}` });
    });
    await expect(load(chosen)).rejects.toThrowError(refused);
  });

  it('is read of a path and of a server', async () => {
    await expect(load(onDisk(folder))).rejects.toThrowError(refused);
    await expect(load((await serve(folder)).url)).rejects.toThrowError(refused);
    const { origin } = await serve(folder, true);
    await expect(load('hf:owner/repo', { hubEndpoint: origin })).rejects.toThrowError(refused);
  });
});

describe('Dense modules in folders within', () => {
  const model = JSON.parse(readFileSync(golden('embedding_gemma'), 'utf8'));
  const folder: Folder = new Map([['config.json', jsonBytes(model.config)]]);
  const tensor = (name: string, shape: number[], hashed = name) => {
    return { name, dtype: 'F32', shape, bytes: new Uint8Array(hashedWeights(hashed, shape).buffer) };
  };
  const shapes = Object.entries(model.tensors as Record<string, number[]>);
  folder.set('model.safetensors', safetensors(shapes.map(([name, shape]) => tensor(name, shape))));
  const modules = [
    { type: 'sentence_transformers.models.Transformer', path: '' },
    { type: 'sentence_transformers.models.Pooling', path: '1_Pooling' },
  ];
  folder.set('1_Pooling/config.json', jsonBytes({ pooling_mode_mean_tokens: true }));
  for (const [i, shape] of (model.dense as [number, number][]).entries()) {
    const path = `${i + 2}_Dense`;
    const config = { in_features: shape[1], out_features: shape[0], bias: false };
    modules.push({ type: 'sentence_transformers.models.Dense', path });
    folder.set(
      `${path}/config.json`,
      jsonBytes({ ...config, activation_function: 'torch.nn.modules.linear.Identity' }),
    );
    folder.set(`${path}/model.safetensors`, safetensors([tensor('linear.weight', shape, `${path}/linear.weight`)]));
  }
  folder.set('modules.json', jsonBytes(modules));

  async function expectEmbedding(source: ModelSource, more: LoadOptions = {}): Promise<PronkType> {
    const engine = await load(source, { embeddings: true, ...more });
    const [vector] = await engine.embed([model.tokens], { normalize: true });
    expect(vector!.length).toBe(model.expected.length);
    for (const [i, value] of vector!.entries()) expect(value).toBeCloseTo(model.expected[i], 3);
    return engine;
  }

  it('follow the pooling, of a path and of a server, with and without a list', async () => {
    await expectEmbedding(onDisk(folder));
    await expectEmbedding((await serve(folder)).url);
    const { origin } = await serve(folder, true);
    await expectEmbedding('hf:owner/repo', { hubEndpoint: origin });
  });

  it('are in the plan, and asked for only where they are named', async () => {
    const configs = async (files: Folder): Promise<{ asked: number; weights: number }> => {
      const server = await serve(files);
      const { plan } = await load(server.url, { embeddings: true });
      const asked = server.requests.filter((request) => request.includes(' config.json')).length;
      return { asked, weights: plan.memory.weights };
    };
    const plain = await configs(new Map(folder).set('modules.json', jsonBytes(modules.slice(0, 2))));
    const { asked, weights } = await configs(folder);
    expect([plain.asked, asked]).toEqual([2, 4]);
    expect(weights - plain.weights).toBeGreaterThanOrEqual(4 * (48 * 32 + 24 * 48));
  });

  it('are of a chosen directory', async () => {
    const chosen = [...folder].map(([name, bytes]) => {
      const file = new File([bytes], name.replace(/.*\//, ''));
      return Object.defineProperty(file, 'webkitRelativePath', { value: `model/${name}` });
    });
    await expectEmbedding(chosen);
  });
});

describe('four-bit weights of MLC', () => {
  // Two rows of 64 numbers: codes and scales in shards of their own, as the compiler writes them.
  const codes = randomBytes(64, 5);
  const scales = new Uint8Array(new Uint16Array([0x3c00, 0xb800, 0x0001, 0x2e66]).buffer);
  const norm = new Uint8Array(128).fill(60);
  const record = (name: string, dtype: string, shape: number[], byteOffset: number, nbytes: number) => {
    return { name, dtype, shape, format: 'f32-to-bf16', byteOffset, nbytes };
  };
  const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
  const shard = (dataPath: string, nbytes: number, records: unknown[], md5sum: string) => {
    return { dataPath, format: 'raw-shard', nbytes, records, md5sum };
  };
  const folder: Folder = new Map([
    [
      'mlc-chat-config.json',
      jsonBytes({
        model_type: 'llama',
        quantization: 'q4f16_1',
        model_config: {
          hidden_size: 64,
          intermediate_size: 64,
          num_attention_heads: 1,
          num_hidden_layers: 1,
          rms_norm_eps: 1e-5,
          vocab_size: 2,
          position_embedding_base: 10000,
          context_window_size: 64,
          tie_word_embeddings: true,
        },
      }),
    ],
    [
      'tensor-cache.json',
      jsonBytes({
        records: [
          shard('params_shard_0.bin', 64, [record('model.embed_tokens.q_weight', 'uint32', [2, 8], 0, 64)], md5(codes)),
          shard(
            'params_shard_1.bin',
            136,
            [
              record('model.norm.weight', 'float16', [64], 0, 128),
              record('model.embed_tokens.q_scale', 'float16', [2, 2], 128, 8),
            ],
            md5(Uint8Array.from([...norm, ...scales])),
          ),
        ],
      }),
    ],
    ['params_shard_0.bin', codes],
    ['params_shard_1.bin', Uint8Array.from([...norm, ...scales])],
  ]);

  it('become the blocks that they are', async () => {
    const found = await findFolder(
      platform,
      files(folder).map((blob) => ({ kind: 'blob', blob })),
    );
    if (Array.isArray(found)) throw new Error('no folder');
    const source = await openFolder(
      found,
      async () => new FolderModule(await platform.folderModule()),
      platform.startMd5,
    );
    const bytes = await readWhole(source);
    await source.close();
    const blocks: number[] = [];
    for (let block = 0; block < 4; block++) {
      const code = (i: number): number => 15 - ((codes[16 * block + (i >> 1)]! >> (4 * (i % 2))) & 15);
      blocks.push(scales[2 * block]!, scales[2 * block + 1]! ^ 0x80);
      for (let i = 0; i < 16; i++) blocks.push(code(i) | (code(i + 16) << 4));
    }
    const at = source.headBytes;
    expect(Array.from(bytes.subarray(at, at + 128))).toEqual(Array.from(norm)); // its shard begins with it
    expect(Array.from(bytes.subarray(at + 128))).toEqual(blocks);
  });

  it('are not kept when a shard is not the one that they tell of', async () => {
    const changed = codes.slice();
    changed[63]! ^= 1;
    const server = await serve(new Map([...folder, ['params_shard_0.bin', changed]]));
    const cache = mkdtempSync(join(temporary, 'cache-'));
    const read = async (): Promise<Uint8Array> => {
      const found = await findFolder(nodePlatform, [{ kind: 'url', url: server.url, cache }]);
      if (Array.isArray(found)) throw new Error('no folder');
      const module = async (): Promise<FolderModule> => new FolderModule(await platform.folderModule());
      const source = await openFolder(found, module, platform.startMd5);
      return readWhole(source).finally(() => source.close());
    };
    await expect(read()).rejects.toMatchObject({
      code: 'damaged',
      message: 'params_shard_0.bin is not what its folder promises: its MD5 is another',
    });
    server.files = folder;
    await expect(read()).resolves.toHaveProperty('length'); // with the same ETag and size
  });

  it('are refused when a shard is too short', async () => {
    const short = new Map([...folder, ['params_shard_1.bin', norm]] as const);
    await expect(load(files(short))).rejects.toMatchObject({
      code: 'bad-model',
      message: 'params_shard_1.bin: has 128 bytes, fewer than the 136 of its record',
    });
  });
});

describe('what is asked of a server', () => {
  it('is no weight before the plan, and each file once', async () => {
    const server = await serve(tinyFolder(2), true);
    const plan = await Pronk.plan(server.url, options);
    expect(plan).toMatchObject({ architecture: 'llama', fits: true, chat: true });
    const ofWeights = server.requests.filter((request) => /model-\d.*bytes=/.test(request));
    expect(ofWeights).toHaveLength(2);
    for (const request of ofWeights) expect(request).toMatch(/bytes=0-/);
  });

  it('is nothing once the folder is in the cache, and that without a network', async () => {
    const cache = join(temporary, 'cache');
    const server = await serve(tinyFolder(2));
    expect(await answer(await load(server.url, { cache }))).toEqual(expected);
    const kept = await Pronk.cacheIn(cache).list();
    expect(kept.map(({ name, complete }) => `${name} ${complete}`).sort()).toEqual(
      [...server.files.keys()].map((name) => `${name} true`).sort(),
    );
    await server.close();
    expect(await answer(await load(server.url, { cache }))).toEqual(expected);
    expect(await Pronk.cacheIn(cache).delete(server.url)).toBe(true);
    expect(await Pronk.cacheIn(cache).list()).toEqual([]);
  });
});

describe('a repository without weights of its own', () => {
  const gguf = (...names: string[]): Folder =>
    new Map(names.map((name, i) => [name, tinyModel({ shards: names.length })[i]!]));

  it('stands for its only GGUF model', async () => {
    const server = await serve(gguf('m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'), true);
    server.files.set('config.json', jsonBytes({}));
    expect(await answer(await load('hf:owner/repo', { hubEndpoint: server.origin }))).toEqual(expected);
  });

  it('has models of types, in folders too', async () => {
    const [whole] = tinyModel({ shards: 1 });
    const server = await serve(gguf('Q6_K/m-Q6_K-00001-of-00002.gguf', 'Q6_K/m-Q6_K-00002-of-00002.gguf'), true);
    server.files.set('m-Q8_0.gguf', whole!);
    server.files.set('x.safetensors', jsonBytes({}));
    for (const type of ['q6_k', 'Q8_0']) {
      server.requests.length = 0;
      expect(await answer(await load(`hf:owner/repo:${type}`, { hubEndpoint: server.origin }))).toEqual(expected);
      expect(server.requests.filter((request) => request.includes('gguf')).length).toBeGreaterThan(0);
    }
    await server.close();
    await expect(load('hf:owner/repo:Q8_0', { hubEndpoint: server.origin })).rejects.toMatchObject({
      code: 'network',
      message: `${server.origin} gives no list of the files of owner/repo`,
    });
  });

  it('is what is kept of it without a network, and is removed by its name', async () => {
    const [whole] = tinyModel({ shards: 1 });
    const server = await serve(gguf('Q6_K/m-Q6_K-00001-of-00002.gguf', 'Q6_K/m-Q6_K-00002-of-00002.gguf'), true);
    server.files.set('m-Q8_0.gguf', whole!);
    const cache = mkdtempSync(join(temporary, 'cache-'));
    process.env['PRONK_HF_ENDPOINT'] = server.origin;
    try {
      await load('hf:owner/repo:Q6_K', { cache });
      await load('hf:owner/repo:Q8_0', { cache });
      await server.close();
      expect(await answer(await load('hf:owner/repo:q6_k', { cache }))).toEqual(expected);
      const kept = Pronk.cacheIn(cache);
      const names = async (): Promise<string[]> => (await kept.list()).map(({ name }) => name);
      expect(await names()).toHaveLength(3);
      await expect(kept.delete('hf:owner/repo')).rejects.toMatchObject({ code: 'bad-argument' }); // which of two?
      expect(await kept.delete('hf:owner/other:Q6_K')).toBe(false);
      expect(await kept.delete('hf:owner/repo:Q6_K')).toBe(true);
      expect(await names()).toEqual(['m-Q8_0.gguf']);
      expect(await answer(await load('hf:owner/repo', { cache }))).toEqual(expected); // the only one
      expect(await kept.delete('hf:owner/repo')).toBe(true);
      expect(await names()).toEqual([]);
    } finally {
      delete process.env['PRONK_HF_ENDPOINT'];
    }
  });

  it('lists them where there are several, and says where there is none', async () => {
    const server = await serve(gguf('b.gguf', 'a.gguf'), true);
    await expect(load('hf:owner/repo', { hubEndpoint: server.origin })).rejects.toMatchObject({
      code: 'bad-argument',
      message: 'owner/repo has several models, name one of them: a.gguf, b.gguf',
    });
    server.files = gguf('readme.md');
    await expect(load('hf:owner/repo', { hubEndpoint: server.origin })).rejects.toMatchObject({
      message: 'owner/repo has neither safetensors nor GGUF files',
    });
  });
});

describe('an error names the file', () => {
  const without = (name: string): Folder => {
    const folder = tinyFolder(2);
    folder.delete(name);
    return folder;
  };

  it('that is missing', async () => {
    const shard = 'model-00002-of-00002.safetensors';
    await expect(load(files(without(shard)))).rejects.toMatchObject({ message: `the folder has no ${shard}` });
    await expect(load((await serve(without(shard))).url)).rejects.toMatchObject({
      code: 'network',
      message: `${shard}: the server answered 404 Not Found`,
    });
    await expect(load(files(without('config.json')))).rejects.toMatchObject({ code: 'bad-argument' });
    await expect(load((await serve(without('config.json'))).url)).rejects.toMatchObject({
      message:
        'main is no folder of a model: it has neither mlc-chat-config.json nor model.norm.weight.safetensors nor config.json',
    });
    const empty = join(temporary, 'empty');
    mkdirSync(empty);
    await expect(load(empty)).rejects.toMatchObject({ code: 'bad-model' });
  });

  it('that is damaged, or ends too soon', async () => {
    const folder = tinyFolder(2);
    const shard = 'model-00001-of-00002.safetensors';
    folder.set(shard, folder.get(shard)!.subarray(0, 5000));
    await expect(load(files(folder))).rejects.toMatchObject({
      code: 'bad-model',
      message: expect.stringMatching(`^${shard}: `),
    });
    folder.set('tokenizer.json', jsonBytes({ model: { type: 'Unigram', vocab: [] } }));
    await expect(load(files(folder))).rejects.toThrow();
  });
});
