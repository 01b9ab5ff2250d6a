// A model of experts, a matrix for each in its folder: the file that is read of it is the one that `pronk convert` writes.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { findFolder } from '../../src/runtime/folder-files.js';
import { FolderModule } from '../../src/runtime/folder-module.js';
import { openFolder } from '../../src/runtime/folder-source.js';
import type { Platform } from '../../src/runtime/platform.js';
import { nodePlatform } from '../../src/runtime/platform-node.js';
import { randomBytes } from '../support/random.js';
import { readWhole } from '../support/read-whole.js';

const native = fileURLToPath(new URL('../../../build/native/pronk', import.meta.url));
const { nodePlatform: platform } = (await import('../../dist/runtime/platform-node.js' as string)) as {
  nodePlatform: Platform;
};
const temporary = mkdtempSync(join(tmpdir(), 'pronk-assembled-'));
afterAll(() => rmSync(temporary, { recursive: true }));

type Shapes = Record<string, number[]>;

function expertShapes(layers: number, experts: number): Shapes {
  const shapes: Shapes = { 'model.embed_tokens.weight': [96, 64], 'model.norm.weight': [64] };
  for (let layer = 0; layer < layers; layer++) {
    const stem = `model.layers.${layer}.`;
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) shapes[`${stem}${norm}.weight`] = [64];
    for (const matrix of ['q', 'k', 'v', 'o']) shapes[`${stem}self_attn.${matrix}_proj.weight`] = [64, 64];
    for (const norm of ['q', 'k']) shapes[`${stem}self_attn.${norm}_norm.weight`] = [16];
    shapes[`${stem}mlp.gate.weight`] = [experts, 64];
    for (let i = 0; i < experts; i++) {
      for (const part of ['gate', 'up']) shapes[`${stem}mlp.experts.${i}.${part}_proj.weight`] = [32, 64];
      shapes[`${stem}mlp.experts.${i}.down_proj.weight`] = [64, 32];
    }
  }
  return shapes;
}

const gptShapes: Shapes = {
  'wte.weight': [96, 64],
  'wpe.weight': [32, 64],
  'ln_f.weight': [64],
  'ln_f.bias': [64],
  'h.0.ln_1.weight': [64],
  'h.0.ln_1.bias': [64],
  'h.0.ln_2.weight': [64],
  'h.0.ln_2.bias': [64],
  'h.0.attn.c_attn.weight': [64, 192],
  'h.0.attn.c_attn.bias': [192],
  'h.0.attn.c_proj.weight': [64, 64],
  'h.0.attn.c_proj.bias': [64],
  'h.0.mlp.c_fc.weight': [64, 256],
  'h.0.mlp.c_fc.bias': [256],
  'h.0.mlp.c_proj.weight': [256, 64],
  'h.0.mlp.c_proj.bias': [64],
};

const expertConfig = {
  model_type: 'qwen3_moe',
  num_hidden_layers: 2,
  hidden_size: 64,
  intermediate_size: 96,
  max_position_embeddings: 64,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  head_dim: 16,
  vocab_size: 96,
  num_experts: 4,
  num_experts_per_tok: 2,
  moe_intermediate_size: 32,
  tie_word_embeddings: true,
};
const gptConfig = { model_type: 'gpt2', n_layer: 1, n_embd: 64, n_head: 4, n_positions: 32, vocab_size: 96 };

const ternaryConfig = {
  model_type: 'bitnet',
  num_hidden_layers: 1,
  hidden_size: 256,
  intermediate_size: 512,
  max_position_embeddings: 32,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  vocab_size: 96,
  tie_word_embeddings: true,
  quantization_config: { quant_method: 'bitnet', linear_class: 'autobitlinear', quantization_mode: 'offline' },
};
const ternary = ['self_attn.q', 'self_attn.k', 'self_attn.v', 'self_attn.o', 'mlp.gate', 'mlp.up', 'mlp.down'];
const ternaryShapes: Shapes = Object.fromEntries([
  ['model.embed_tokens.weight', [96, 256]],
  ...['input_layernorm', 'post_attention_layernorm', 'self_attn.attn_sub_norm'].map((norm) => [
    `model.layers.0.${norm}.weight`,
    [256],
  ]),
  ['model.layers.0.mlp.ffn_sub_norm.weight', [512]],
  ['model.norm.weight', [256]],
  // As safetensors sorts them, numbers of one byte come last.
  ...ternary.map((stem) => [`model.layers.0.${stem}_proj.weight_scale`, [1]]),
  ...ternary.map((stem) => {
    const [rows, columns] = stem === 'mlp.down' ? [256, 512] : stem.startsWith('mlp') ? [512, 256] : [256, 256];
    return [`model.layers.0.${stem}_proj.weight`, [rows! / 4, columns!]];
  }),
] as [string, number[]][]);

/** Tensors of BF16 with any bytes; codes of ternary matrices are U8. */
function safetensors(shapes: Shapes): Uint8Array {
  const header: Record<string, object> = {};
  let end = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const codes = shapes === ternaryShapes && name.endsWith('_proj.weight');
    const bytes = (codes ? 1 : 2) * shape.reduce((a, b) => a * b, 1);
    header[name] = { dtype: codes ? 'U8' : 'BF16', shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, randomBytes(end, 7)]);
}

function writeFolder(name: string, config: object, shapes: Shapes): string {
  const folder = join(temporary, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'model.safetensors'), safetensors(shapes));
  return folder;
}

async function openPath(path: string) {
  const found = await findFolder(nodePlatform, [{ kind: 'path', path }]);
  if (Array.isArray(found)) throw new Error(`${path} is no folder`);
  return openFolder(found, async () => new FolderModule(await platform.folderModule()), nodePlatform.startMd5);
}

describe('folders whose tensors are put together', () => {
  it.skipIf(!existsSync(native)).each([
    ['experts', expertConfig, expertShapes(2, 4)],
    ['transposed', gptConfig, gptShapes],
    ['ternary', ternaryConfig, ternaryShapes],
  ] as const)('%s: are what convert makes of them', async (name, config, shapes) => {
    const folder = writeFolder(name, config, shapes);
    const file = join(temporary, `${name}.gguf`);
    execFileSync(native, ['convert', folder, file]);
    const source = await openPath(folder);
    const bytes = await readWhole(source);
    const wanted = readFileSync(file);
    expect(Math.ceil(bytes.length / 32) * 32).toBe(wanted.length); // convert pads the last tensor too
    expect(wanted.subarray(0, bytes.length).equals(bytes)).toBe(true);
    await source.close();
  });

  it('say which expert is missing', async () => {
    const { 'model.layers.1.mlp.experts.2.up_proj.weight': _, ...shapes } = expertShapes(2, 4);
    const folder = writeFolder('missing', expertConfig, shapes);
    await expect(openPath(folder)).rejects.toMatchObject({
      code: 'bad-model',
      message: expect.stringContaining("expert 2 of 'blk.1.ffn_up_exps.weight' is missing"),
    });
  });
});
