// Writes a folder of the shape of Llama 3.2 1B as AQLM's 2×8, with random weights and a tokenizer of as many tokens: what
// measure-memory.mjs loads where a folder is to be measured.
//
// usage: node scripts/write-aqlm-folder.mjs OUT
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const [layers, width, ff, kvWidth, vocab, group, books] = [16, 2048, 8192, 512, 128256, 8, 2];

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  num_hidden_layers: layers,
  hidden_size: width,
  intermediate_size: ff,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 64,
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  vocab_size: vocab,
  rope_theta: 500000,
  tie_word_embeddings: true,
  quantization_config: {
    quant_method: 'aqlm',
    in_group_size: group,
    out_group_size: 1,
    num_codebooks: books,
    nbits_per_codebook: 8,
  },
};

function tensors() {
  const list = [];
  const add = (name, dtype, shape) => list.push({ name, dtype, shape });
  const matrix = (name, rows, columns) => {
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
  return list;
}

/** Random bytes, or finite halves of at most 2⁻⁶ in size. */
function randomBytes(seed) {
  let state = seed >>> 0 || 1;
  return (halves, count) => {
    const words = new Uint32Array(count / 4);
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = halves ? (state & 0x83ff83ff) | 0x20002000 : state;
    }
    return new Uint8Array(words.buffer);
  };
}

function writeWeights(path) {
  const random = randomBytes(1);
  const list = tensors();
  const header = {};
  let end = 0;
  for (const one of list) {
    one.bytes = one.shape.reduce((product, extent) => product * extent, one.dtype === 'I8' ? 1 : 2);
    header[one.name] = { dtype: one.dtype, shape: one.shape, data_offsets: [end, end + one.bytes] };
    end += one.bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(path, 'w');
  writeSync(file, length);
  writeSync(file, text);
  const part = 4 << 20;
  for (const { dtype, bytes } of list) {
    for (let at = 0; at < bytes; at += part) writeSync(file, random(dtype === 'F16', Math.min(part, bytes - at)));
  }
  closeSync(file);
}

/** Byte-level BPE: the bytes, then pairs of what is there. */
function tokenizer() {
  const bytes = [];
  for (let i = 0, others = 0; i < 256; i++) {
    const shown = (i > 32 && i < 127) || (i > 160 && i !== 173);
    bytes.push(String.fromCodePoint(shown ? i : 256 + others++));
  }
  const names = [...bytes];
  const merges = [];
  for (let a = 0; names.length < vocab; a++) {
    for (let b = 0; b < 256 && names.length < vocab; b++) {
      merges.push([names[a], bytes[b]]);
      names.push(names[a] + bytes[b]);
    }
  }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: Object.fromEntries(names.map((name, id) => [name, id])), merges },
  };
}

const [out] = process.argv.slice(2);
if (!out || out.startsWith('-')) throw new Error('usage: node scripts/write-aqlm-folder.mjs OUT');
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'config.json'), JSON.stringify(config));
writeFileSync(join(out, 'tokenizer.json'), JSON.stringify(tokenizer()));
writeWeights(join(out, 'model.safetensors'));
