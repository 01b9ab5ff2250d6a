"""Writes the GGUF file (ggml's docs/gguf.md) from a checkpoint: python export.py --work DIR --out FILE"""
import argparse
import struct

import jinja2
import json
import numpy as np
import torch

from model import Config
from template import JINJA, render, tool_call
from tokenizer import SPECIAL, Tokenizer

U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
I32 = 5
TYPE_F32, TYPE_Q8_0 = 0, 8
ALIGNMENT = 32


def string(text):
  raw = text.encode()
  return struct.pack("<Q", len(raw)) + raw


def value(kind, v):
  if kind == STRING:
    return string(v)
  return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], v)


def entry(key, kind, v, of=None):
  head = string(key) + struct.pack("<I", kind)
  if kind != ARRAY:
    return head + value(kind, v)
  return head + struct.pack("<IQ", of, len(v)) + b"".join(value(of, x) for x in v)


def q8_0(matrix):
  """Blocks of 32: an f16 scale and 32 signed bytes."""
  blocks = matrix.astype(np.float32).reshape(-1, 32)
  scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
  inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
  out = np.empty((len(blocks), 34), np.uint8)
  out[:, :2] = scale.astype("<f2").view(np.uint8)
  out[:, 2:] = np.rint(blocks * inverse).astype(np.int8).view(np.uint8)
  return out.tobytes()


def metadata(config, tokenizer):
  kinds = [3 if t in SPECIAL[:3] else 4 if t in SPECIAL else 1 for t in tokenizer.tokens]  # control, user-defined, normal
  merges = [f"{x} {y}" for x, y in tokenizer.merges]
  return [
    entry("general.architecture", STRING, "llama"),
    entry("general.name", STRING, "Pronk Box"),
    entry("general.file_type", U32, 7),
    entry("general.quantization_version", U32, 2),
    entry("general.alignment", U32, ALIGNMENT),
    entry("llama.block_count", U32, config.layers),
    entry("llama.context_length", U32, config.context),
    entry("llama.embedding_length", U32, config.width),
    entry("llama.feed_forward_length", U32, config.feed_forward),
    entry("llama.attention.head_count", U32, config.heads),
    entry("llama.attention.head_count_kv", U32, config.kv_heads),
    entry("llama.attention.layer_norm_rms_epsilon", F32, config.norm_eps),
    entry("llama.rope.dimension_count", U32, config.head_dim),
    entry("llama.rope.freq_base", F32, config.rope_base),
    entry("llama.vocab_size", U32, config.vocab),
    entry("tokenizer.ggml.model", STRING, "gpt2"),
    entry("tokenizer.ggml.pre", STRING, "gpt-2"),
    entry("tokenizer.ggml.tokens", ARRAY, tokenizer.tokens, STRING),
    entry("tokenizer.ggml.token_type", ARRAY, kinds, I32),
    entry("tokenizer.ggml.merges", ARRAY, merges, STRING),
    entry("tokenizer.ggml.bos_token_id", U32, SPECIAL.index("<|endoftext|>")),
    entry("tokenizer.ggml.eos_token_id", U32, SPECIAL.index("<|im_end|>")),
    entry("tokenizer.ggml.eot_token_id", U32, SPECIAL.index("<|im_end|>")),
    entry("tokenizer.ggml.padding_token_id", U32, SPECIAL.index("<|endoftext|>")),
    entry("tokenizer.ggml.add_bos_token", BOOL, False),
    entry("tokenizer.chat_template", STRING, JINJA),
  ]


def tensors(config, state):
  """(name, f32 array [rows, cols] or [n]). No permutation: the model rotates adjacent pairs, as GGUF's llama does."""
  yield "token_embd.weight", state["embedding.weight"]
  names = dict(attn_norm="attn_norm", q="attn_q", k="attn_k", v="attn_v", o="attn_output", ffn_norm="ffn_norm", gate="ffn_gate",
               up="ffn_up", down="ffn_down")
  for layer in range(config.layers):
    for ours, theirs in names.items():
      yield f"blk.{layer}.{theirs}.weight", state[f"layers.{layer}.{ours}.weight"]
  yield "output_norm.weight", state["norm.weight"]


def pad(raw):
  return raw + bytes(-len(raw) % ALIGNMENT)


def write(path, config, tokenizer, state):
  infos, data = [], b""
  for name, tensor in tensors(config, state):
    array = tensor.float().numpy()
    kind = TYPE_Q8_0 if array.ndim == 2 else TYPE_F32
    shape = array.shape[::-1]
    infos.append(string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, len(data)))
    data += pad(q8_0(array) if kind == TYPE_Q8_0 else array.astype("<f4").tobytes())
  entries = metadata(config, tokenizer)
  head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(entries)) + b"".join(entries) + b"".join(infos)
  raw = pad(head) + data
  if len(raw) > 4_000_000:
    raise SystemExit(f"the file would have {len(raw)} bytes: more than 4 MB")
  with open(path, "wb") as f:
    f.write(raw)
  print(f"{path}: {len(raw)} bytes, {len(infos)} tensors, header {len(head)} bytes")


def check_template():
  """The Jinja text and render() agree."""
  environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
  environment.filters["tojson"] = lambda x: json.dumps(x)
  jinja = environment.from_string(JINJA)
  tools = [{"name": "get_time", "description": "The time", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]
  talk = [("user", "Hi"), ("assistant", "Hello!"), ("user", "What time is it in Rome?"), ("assistant", tool_call("get_time", {"city": "Rome"})), ("tool", '{"time": "10:00"}')]
  for system in ("", "Be brief."):
    for given in ([], tools):
      messages = ([{"role": "system", "content": system}] if system else []) + [{"role": r, "content": c} for r, c in talk]
      for wrapped in (given, [{"type": "function", "function": t} for t in given]):
        if jinja.render(messages=messages, tools=wrapped, add_generation_prompt=True) != render(talk, system, given):
          raise SystemExit("the chat template and render() differ")
      i = next(i for i, m in enumerate(messages) if "<tool_call>" in m["content"])
      messages[i] = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "get_time", "arguments": {"city": "Rome"}}}]}
      if jinja.render(messages=messages, tools=given, add_generation_prompt=True) != render(talk, system, given):
        raise SystemExit("the chat template and render() differ on tool calls")


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument("--work", required=True)
  parser.add_argument("--out", required=True)
  args = parser.parse_args()
  check_template()
  tokenizer = Tokenizer.load(f"{args.work}/tokenizer.json")
  state = torch.load(f"{args.work}/checkpoint.pt", weights_only=True)
  write(args.out, Config(vocab=len(tokenizer.tokens)), tokenizer, state["model"])


if __name__ == "__main__":
  main()
