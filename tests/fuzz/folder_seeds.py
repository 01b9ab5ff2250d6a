#!/usr/bin/env python3
"""Writes seeds of folder_fuzz: the small folders that transformers runs, tests/golden/folders.

usage: folder_seeds.py FOLDER      for example tests/fuzz/corpus/folder_fuzz"""
import json
import pathlib
import sys

# A family for each rule of sources/assemble.h, and some whose config.json says much.
FAMILIES = ['llama', 'apertus', 'bitnet_packed', 'deepseek_v2', 'falcon', 'gemma3n', 'gemma4_moe', 'gpt2', 'gpt_neox',
            'gpt_oss', 'granitemoe', 'lfm2_moe', 'mamba', 'olmoe', 'phi3_longrope', 'qwen3_5_moe_fused', 'qwen3_next',
            'qwen3_vl_moe_older', 'stablelm_12b', 'nomic_bert']


def as_blocks(tensors):
    """Experts as gpt-oss is published: four-bit floats, codes and scales apart."""
    for name in [name for name in tensors if name.endswith(('gate_up_proj', 'down_proj'))]:
        experts, inputs, outputs = tensors.pop(name)
        tensors |= {name + '_blocks': [experts, outputs, inputs // 32, 16], name + '_scales': [experts, outputs, inputs // 32]}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    golden = pathlib.Path(__file__).parent.parent / 'golden/folders'
    for name in FAMILIES:
        model = json.loads((golden / f'{name}.json').read_text())
        packed = set(model.get('packed', []))
        if name == 'gpt_oss':
            as_blocks(model['tensors'])
        lines = [json.dumps(model['config'], separators=(',', ':'))]
        for tensor, shape in model['tensors'].items():
            kind = 'U8' if tensor in packed or tensor.endswith(('_blocks', '_scales')) else 'BF16' if tensor.endswith('weight_scale') else 'F32'
            lines.append(' '.join([tensor, kind, *map(str, shape)]))
        (out / name).write_text('\n'.join(lines))


if __name__ == '__main__':
    main()
