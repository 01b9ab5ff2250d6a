#!/usr/bin/env python3
"""Writes tests/golden/folders/*.json: tiny models as Hugging Face's transformers (5.24) runs them.

usage: python3 tools/folder_models.py [--keep FOLDER] [NAME...]

Each file has a config.json, the names and shapes of the tensors, token ids, and what the last of them gives in float64
(logits, or of an encoder the hidden state; where Dense modules follow, the embedding), and how far off float32 is. Weights are a hash of their tensor's name and
their index, here and in the test that reads the file (tests/sources/transformers_test.cpp). --keep writes the folders
themselves too. Needs transformers, torch, safetensors and numpy."""
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText

MODELS = pathlib.Path(__file__).parent.parent / 'tests/golden/folders'
TOKENS = [5, 17, 42, 8, 8, 31, 26, 11, 45, 9, 38, 23, 14, 29, 40, 6, 33, 19, 27, 44, 12, 36, 21, 7]

LLAMA = {
    'vocab_size': 48, 'hidden_size': 32, 'intermediate_size': 48, 'num_hidden_layers': 2, 'num_attention_heads': 4,
    'num_key_value_heads': 2, 'max_position_embeddings': 64, 'bos_token_id': 1,
    'eos_token_id': 2, 'pad_token_id': None}


def row(model_type, without=(), **more):
    config = {'model_type': model_type, **LLAMA, **more}
    return {key: value for key, value in config.items() if key not in without}


MOE = {'num_experts': 4, 'num_experts_per_tok': 2, 'moe_intermediate_size': 16}
YARN = {'type': 'yarn', 'rope_type': 'yarn', 'factor': 4, 'original_max_position_embeddings': 16}

CONFIGS = {
    'llama': row('llama'),
    'llama_tied_and_head': row('llama', tie_word_embeddings=True),
    'llama_tied': row('llama', tie_word_embeddings=True),
    'gemma_untied': row('gemma', head_dim=8, tie_word_embeddings=False),
    'llama_bias': row('llama', attention_bias=True, mlp_bias=True),
    'mistral': row('mistral', sliding_window=6),
    'ministral': row('ministral', sliding_window=6, head_dim=8),
    'ministral3': row('ministral3', head_dim=8, rope_parameters={**YARN, 'rope_theta': 10000, 'mscale': 1,
        'mscale_all_dim': 1, 'llama_4_scaling_beta': 0.1}),
    'ministral3_rope': row('ministral3', head_dim=8, rope_theta=500, rope_parameters=None),
    'apertus': row('apertus', hidden_act='xielu'),
    'apertus_rope': row('apertus', hidden_act='xielu', rope_theta=10000, rope_scaling={'rope_type': 'llama3', 'factor': 4,
        'low_freq_factor': 1, 'high_freq_factor': 4, 'original_max_position_embeddings': 16}),
    'apertus_theta': row('apertus', hidden_act='xielu', rope_theta=500, rope_scaling=None),
    'apertus_default': row('apertus', hidden_act='xielu', rope_parameters={'rope_theta': 500}),
    'arcee': row('arcee', hidden_act='relu2'),
    'granite': row('granite', embedding_multiplier=3, residual_multiplier=0.3, attention_multiplier=0.2,
        logits_scaling=4),
    'bitnet': row('bitnet', hidden_act='relu2'),
    'bitnet_packed': row('bitnet', hidden_act='relu2', hidden_size=256, intermediate_size=256, num_hidden_layers=1),
    'smollm3': row('smollm3', num_hidden_layers=4, no_rope_layers=[1, 0, 1, 1]),
    'smollm3_interval': row('smollm3', num_hidden_layers=4, no_rope_layer_interval=3),
    'qwen2': row('qwen2'),
    'qwen3': row('qwen3', head_dim=8),
    'phi3': row('phi3'),
    'phi3_partial': row('phi3', partial_rotary_factor=0.5),
    'phi3_shortrope': row('phi3', original_max_position_embeddings=32, rope_scaling={'type': 'longrope',
        'short_factor': [1, 1.5, 2, 3], 'long_factor': [2, 3, 4, 5]}),
    'phi3_longrope': row('phi3', original_max_position_embeddings=16, rope_scaling={'type': 'longrope',
        'short_factor': [1, 1.5, 2, 3], 'long_factor': [2, 3, 4, 5]}),
    'seed_oss': row('seed_oss', head_dim=8, attention_bias=True),
    'ernie4_5': row('ernie4_5', head_dim=8),
    'hunyuan_v1_dense': row('hunyuan_v1_dense', head_dim=8, rope_scaling={'type': 'dynamic', 'alpha': 1000,
        'factor': 1, 'beta_fast': 32, 'beta_slow': 1, 'mscale': 1}),
    'olmo2': row('olmo2'),
    'llama_dynamic': row('llama', rope_scaling={'type': 'dynamic', 'factor': 2.0}),
    'llama_linear': row('llama', rope_scaling={'type': 'linear', 'factor': 2.0}),
    'llama_yarn': row('llama', rope_scaling={**YARN, 'mscale': 2, 'mscale_all_dim': 3}),
    'llama3': row('llama', rope_scaling={'rope_type': 'llama3', 'factor': 4, 'low_freq_factor': 1,
        'high_freq_factor': 4, 'original_max_position_embeddings': 16}),
    'qwen3_bias': row('qwen3', head_dim=8, attention_bias=True),
    'gemma3_linear': row('gemma3_text', head_dim=8, num_hidden_layers=7, sliding_window=6, query_pre_attn_scalar=16,
        attention_bias=True, rope_scaling={'rope_type': 'linear', 'factor': 8.0}),
    'falcon_11b': row('falcon', new_decoder_architecture=True, num_ln_in_parallel_attn=1, num_kv_heads=2,
        without=['intermediate_size', 'num_key_value_heads']),
    'falcon_bias': row('falcon', new_decoder_architecture=True, bias=True, num_kv_heads=2,
        without=['intermediate_size', 'num_key_value_heads']),
    'lfm2_idxs': row('lfm2', num_hidden_layers=3, full_attn_idxs=[1]),
    'granitehybrid_bias': row('granitemoehybrid', num_hidden_layers=3, num_local_experts=0, num_experts_per_tok=0,
        shared_intermediate_size=24, layer_types=['mamba', 'attention', 'mamba'], mamba_n_heads=8, mamba_d_state=16,
        mamba_d_head=8, attention_bias=True, mamba_proj_bias=True, mamba_conv_bias=False),
    'qwen3_next_dense': row('qwen3_next', num_hidden_layers=4, head_dim=8, **MOE, shared_expert_intermediate_size=24,
        linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8,
        layer_types=['linear_attention', 'full_attention'] * 2, mlp_only_layers=[0], attention_bias=True),
    'deepseek_v3_yarn': row('deepseek_v3', num_key_value_heads=4, n_routed_experts=8, num_experts_per_tok=2,
        moe_intermediate_size=16, n_shared_experts=1, first_k_dense_replace=1, kv_lora_rank=16, q_lora_rank=24,
        qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8, n_group=4, topk_group=2, rope_scaling={**YARN,
        'mscale': 1.0, 'mscale_all_dim': 1.0, 'beta_fast': 32, 'beta_slow': 1}),
    'glm4_moe_groups': row('glm4_moe', head_dim=8, n_routed_experts=8, num_experts_per_tok=2,
        moe_intermediate_size=16, n_shared_experts=1, first_k_dense_replace=1, n_group=4, topk_group=2,
        norm_topk_prob=False),
    'olmo3': row('olmo3', num_hidden_layers=4, sliding_window=6),
    'olmo3_yarn': row('olmo3', num_hidden_layers=4, sliding_window=6, rope_scaling=YARN),
    'olmo3_bases': row('olmo3', num_hidden_layers=4, sliding_window=6, rope_parameters={'full_attention': {**YARN,
        'rope_theta': 5000}, 'sliding_attention': {'rope_type': 'default', 'rope_theta': 700}}),
    'exaone4_full': row('exaone4', sliding_window=None, layer_types=['full_attention'] * 2),
    'exaone4': row('exaone4', num_hidden_layers=4, sliding_window=6),
    'glm4': row('glm4', head_dim=8),
    'phi': row('phi', num_key_value_heads=4, hidden_act='gelu_new'),
    'stablelm': row('stablelm'),
    'stablelm_bias': row('stablelm', use_qkv_bias=True),
    'stablelm_12b': row('stablelm', use_parallel_residual=True, qk_layernorm=True),
    'starcoder2': row('starcoder2'),
    'olmo': row('olmo', clip_qkv=0.5),
    'cohere': row('cohere', logit_scale=0.5),
    'cohere_qk': row('cohere', use_qk_norm=True),
    'cohere2': row('cohere2', num_hidden_layers=4, sliding_window=6),
    'nemotron': row('nemotron', hidden_act='relu2'),
    'gemma': row('gemma', head_dim=8),
    'gemma2': row('gemma2', head_dim=8, sliding_window=6, query_pre_attn_scalar=16, attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0),
    'gemma3_text': row('gemma3_text', head_dim=8, num_hidden_layers=7, sliding_window=6, query_pre_attn_scalar=16),
    'qwen3_next_interval': row('qwen3_next', num_hidden_layers=4, head_dim=8, **MOE,
        shared_expert_intermediate_size=24, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
        linear_value_head_dim=8, full_attention_interval=2),
    'mixtral': row('mixtral', num_local_experts=4, num_experts_per_tok=2),
    'qwen2_moe': row('qwen2_moe', **MOE, shared_expert_intermediate_size=24),
    'qwen2_moe_sparse': row('qwen2_moe', **MOE, shared_expert_intermediate_size=24, mlp_only_layers=[0]),
    'qwen3_moe': row('qwen3_moe', **MOE, head_dim=8, norm_topk_prob=True),
    'qwen3_moe_step': row('qwen3_moe', **MOE, head_dim=8, norm_topk_prob=True, decoder_sparse_step=2),
    'olmoe': row('olmoe', num_experts=4, num_experts_per_tok=2),
    'gpt_oss': row('gpt_oss', head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=6,
        intermediate_size=32, rope_scaling={**YARN, 'beta_fast': 32.0, 'beta_slow': 1.0, 'truncate': False},
        rope_theta=10000, layer_types=['sliding_attention', 'full_attention']),
    'gpt_oss_rope': row('gpt_oss', head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=6,
        intermediate_size=32, rope_theta=500, rope_scaling=None),
    'deepseek_v2': row('deepseek_v2', num_key_value_heads=4, n_routed_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=16, n_shared_experts=1, first_k_dense_replace=1, kv_lora_rank=16, q_lora_rank=None,
        qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8, topk_method='greedy', routed_scaling_factor=1.5),
    'deepseek_v2_groups': row('deepseek_v2', num_key_value_heads=4, n_routed_experts=8, num_experts_per_tok=3,
        moe_intermediate_size=16, n_shared_experts=1, first_k_dense_replace=1, kv_lora_rank=16, q_lora_rank=24,
        qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8, topk_method='group_limited_greedy', n_group=4,
        topk_group=2, routed_scaling_factor=1.5),
    'deepseek_v3': row('deepseek_v3', num_key_value_heads=4, n_routed_experts=8, num_experts_per_tok=2,
        moe_intermediate_size=16, n_shared_experts=1, first_k_dense_replace=1, kv_lora_rank=16, q_lora_rank=24,
        qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8, n_group=4, topk_group=2, routed_scaling_factor=1.5),
    'glm4_moe': row('glm4_moe', head_dim=8, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
        n_shared_experts=1, first_k_dense_replace=1, use_qk_norm=True, attention_bias=True,
        routed_scaling_factor=1.5),
    'ernie4_5_moe': row('ernie4_5_moe', moe_num_experts=4, moe_k=2, moe_intermediate_size=16,
        moe_num_shared_experts=1, moe_layer_start_index=1),
    'gpt2': row('gpt2', n_layer=2, n_embd=32, n_head=4, n_positions=64, without=[ 'hidden_size', 'num_hidden_layers',
        'num_attention_heads', 'num_key_value_heads', 'intermediate_size', 'max_position_embeddings']),
    'gpt_neox': row('gpt_neox', num_key_value_heads=4),
    'gpt_neox_serial': row('gpt_neox', num_key_value_heads=4, use_parallel_residual=False, attention_bias=False),
    'falcon': row('falcon', new_decoder_architecture=True, num_kv_heads=2, without=['intermediate_size',
        'num_key_value_heads']),
    'falcon_one': row('falcon', multi_query=True, new_decoder_architecture=False, bias=False,
        without=['intermediate_size', 'num_key_value_heads']),
    'lfm2': row('lfm2', num_hidden_layers=3, layer_types=['conv', 'full_attention', 'conv']),
    'lfm2_moe': row('lfm2_moe', num_hidden_layers=3, layer_types=['conv', 'full_attention', 'conv'],
        num_dense_layers=1, **MOE),
    'granitemoe': row('granitemoe', num_local_experts=4, num_experts_per_tok=2),
    'granitemoeshared': row('granitemoeshared', num_local_experts=4, num_experts_per_tok=2,
        shared_intermediate_size=24),
    'granitemoehybrid': row('granitemoehybrid', num_hidden_layers=3, num_local_experts=4, num_experts_per_tok=2,
        shared_intermediate_size=24, layer_types=['mamba', 'attention', 'mamba'], mamba_n_heads=8, mamba_d_state=16,
        mamba_d_head=8),
    'granitemoehybrid_dense': row('granitemoehybrid', num_hidden_layers=3, num_local_experts=0,
        num_experts_per_tok=0, shared_intermediate_size=24, layer_types=['mamba', 'attention', 'mamba'],
        mamba_n_heads=8, mamba_d_state=16, mamba_d_head=8, position_embedding_type='rope'),
    'mamba': row('mamba', state_size=16, time_step_rank=4, intermediate_size=64, without=[ 'num_attention_heads',
        'num_key_value_heads', 'max_position_embeddings']),
    'mamba2': row('mamba2', state_size=16, num_heads=8, head_dim=8, n_groups=2, without=[ 'intermediate_size',
        'num_attention_heads', 'num_key_value_heads', 'max_position_embeddings']),
    'qwen3_next': row('qwen3_next', num_hidden_layers=4, head_dim=8, **MOE, shared_expert_intermediate_size=24,
        linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8,
        layer_types=['linear_attention', 'full_attention'] * 2, partial_rotary_factor=0.5),
    'qwen3_5': row('qwen3_5_text', num_hidden_layers=4, head_dim=8, linear_num_key_heads=2, linear_num_value_heads=4,
        linear_key_head_dim=8, linear_value_head_dim=8, layer_types=['linear_attention', 'full_attention'] * 2,
        rope_parameters={'rope_type': 'default', 'rope_theta': 10000, 'partial_rotary_factor': 0.5,
                         'mrope_section': [1, 1, 0], 'mrope_interleaved': True}),
    'qwen3_5_moe': row('qwen3_5_moe_text', num_hidden_layers=4, head_dim=8, **MOE, shared_expert_intermediate_size=24,
        linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8,
        full_attention_interval=2, tie_word_embeddings=True),
    'qwen3_5_moe_fused': row('qwen3_5_moe_text', num_hidden_layers=2, head_dim=8, **MOE,
        shared_expert_intermediate_size=24, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
        linear_value_head_dim=8, full_attention_interval=2),
    'falcon_h1': row('falcon_h1', head_dim=8, mamba_d_ssm=64, mamba_n_heads=8, mamba_d_head=8, mamba_d_state=16,
        mamba_n_groups=2, lm_head_multiplier=0.5, embedding_multiplier=3.0, mlp_multipliers=[0.7, 1.5],
        key_multiplier=0.6, attention_in_multiplier=1.2, attention_out_multiplier=0.8, ssm_in_multiplier=1.1,
        ssm_out_multiplier=0.9, ssm_multipliers=[0.5, 1.5, 0.8, 1.2, 0.7]),
    'gemma3n': row('gemma3n_text', head_dim=8, num_hidden_layers=6, sliding_window=6, hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=44, laurel_rank=8, num_kv_shared_layers=2, intermediate_size=[48] * 6,
        activation_sparsity_pattern=[0.9, 0.9, 0.0, 0.0, 0.0, 0.0], layer_types=['sliding_attention', 'sliding_attention',
        'full_attention'] * 2),
    'gemma4': row('gemma4_text', head_dim=8, global_head_dim=16, num_hidden_layers=6, sliding_window=6,
        hidden_size_per_layer_input=8, vocab_size_per_layer_input=48, num_kv_shared_layers=2,
        layer_types=['sliding_attention', 'sliding_attention', 'full_attention'] * 2, use_double_wide_mlp=True),
    'gemma4_moe': row('gemma4_text', head_dim=8, global_head_dim=16, num_hidden_layers=3, sliding_window=6,
        hidden_size_per_layer_input=0, attention_k_eq_v=True, num_global_key_value_heads=1, enable_moe_block=True,
        num_experts=4, top_k_experts=2, moe_intermediate_size=16, final_logit_softcapping=30.0,
        layer_types=['sliding_attention', 'sliding_attention', 'full_attention']),
}
ENCODERS = {
    'bert': row('bert', num_key_value_heads=4),
    'roberta': row('roberta', num_key_value_heads=4, pad_token_id=1, max_position_embeddings=66),
    'xlm_roberta': row('xlm-roberta', num_key_value_heads=4, pad_token_id=1, max_position_embeddings=66),
    'modernbert': row('modernbert', without=['num_key_value_heads'], num_hidden_layers=4, local_attention=8, pad_token_id=0),
    'modernbert_bias': row('modernbert', without=['num_key_value_heads'], num_hidden_layers=4, local_attention=8, pad_token_id=0,
        norm_bias=True, attention_bias=True, mlp_bias=True, global_attn_every_n_layers=2),
    'nomic_bert': row('nomic_bert', num_key_value_heads=4, hidden_act='silu', pad_token_id=0),
    'embedding_gemma': row('gemma3_text', head_dim=8, num_hidden_layers=7, sliding_window=6, query_pre_attn_scalar=16,
        use_bidirectional_attention=True),
}
# Shapes of the Dense modules that follow, as sentence-transformers has them: mean, maps, norm.
DENSE = {'embedding_gemma': [[48, 32], [24, 48]]}
VISION = {'hidden_size': 16, 'intermediate_size': 16, 'depth': 1, 'num_hidden_layers': 1, 'num_heads': 2,
          'num_attention_heads': 2, 'patch_size': 4, 'image_size': 16}


def beside_pictures(of, text, **vision):
    """Of a model that sees as well: what it does with text."""
    return {'model_type': of, 'text_config': text, 'vision_config': {**VISION, **vision}}


BESIDE_PICTURES = {
    'gemma3_vision': beside_pictures('gemma3', CONFIGS['gemma3_text'], model_type='siglip_vision_model'),
    'mistral3_vision': beside_pictures('mistral3', CONFIGS['ministral3'], model_type='pixtral', head_dim=8),
    'smolvlm': beside_pictures('smolvlm', row('llama')),
    'qwen2_5_vl': beside_pictures('qwen2_5_vl', row('qwen2_5_vl_text', rope_scaling={
        'type': 'mrope', 'mrope_section': [1, 1, 2]}), out_hidden_size=32, fullatt_block_indexes=[0]),
    'qwen3_vl': beside_pictures('qwen3_vl', row('qwen3_vl_text', head_dim=8, rope_scaling={
        'rope_type': 'default', 'mrope_section': [2, 1, 1], 'mrope_interleaved': True}), out_hidden_size=32,
        deepstack_visual_indexes=[0]),
    'qwen3_vl_moe': beside_pictures('qwen3_vl_moe', row('qwen3_vl_moe_text', num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=24, head_dim=8, rope_scaling={
        'rope_type': 'default', 'mrope_section': [2, 1, 1], 'mrope_interleaved': True}), out_hidden_size=32,
        deepstack_visual_indexes=[0]),
    'qwen3_5_vision': beside_pictures('qwen3_5', CONFIGS['qwen3_5'], out_hidden_size=32),
    'gemma4_vision': beside_pictures('gemma4', {**CONFIGS['gemma4'], 'pad_token_id': 0}, model_type='gemma4_vision', num_key_value_heads=2,
        head_dim=8),
}

BESIDE_PICTURES['qwen3_vl_moe_older'] = BESIDE_PICTURES['qwen3_vl_moe']
# Whose experts have inputs for rows.
TRANSPOSED = ['qwen3_vl_moe_older']

# With a head that differs from the embedding although they are tied: it counts.
WITH_HEAD = ['llama_tied_and_head']

# Whose matrices are ternary, as BitNet stores them: what transformers makes of them without rounding activations.
PACKED = ['bitnet_packed']
BITNET = {'quant_method': 'bitnet', 'linear_class': 'autobitlinear', 'quantization_mode': 'offline'}

# Under the names of the classes, which save() may part.
FUSED = ['qwen3_5_moe_fused']


def hash_of(name, count):
    hashed = np.uint32(2166136261)
    with np.errstate(over='ignore'):
        for byte in name.encode():
            hashed = (hashed ^ np.uint32(byte)) * np.uint32(16777619)
        x = hashed + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
        x = (x ^ x >> 16) * np.uint32(0x85EBCA6B)
        x = (x ^ x >> 13) * np.uint32(0xC2B2AE35)
        return x ^ x >> 16


def weights(name, shape):
    """What the test makes too: uniform, of variance 1/columns; vectors are small, or near 1 where they scale."""
    uniform = (hash_of(name, int(np.prod(shape))) >> 8).astype(np.float64) / (1 << 23) - 1
    if len(shape) > 1:
        values = uniform * np.sqrt(3 / shape[-1])
    else:
        values = uniform / 4 + (1 if 'norm' in name.lower() or 'ln_' in name else 0)
    return values.astype(np.float32).reshape(shape)


def bf16(values):
    return (values.view(np.uint32) & np.uint32(0xffff0000)).view(np.float32)


def ternary(name, shape):
    """Four numbers of a hash: rows r, r + rows / 4, … of the matrix. Times its scale."""
    hashes = hash_of(name, shape[0] // 4 * shape[1])
    rows = np.concatenate([(hashes >> np.uint32(8 * i) & np.uint32(255)) % np.uint32(3) for i in range(4)])
    scale = bf16(weights(name.replace('.weight', '.weight_scale'), [1]))
    return (rows.astype(np.float32) - 1).reshape(shape) * scale


def class_of(name):
    return AutoModel if name in ENCODERS else AutoModelForImageTextToText if name in BESIDE_PICTURES else AutoModelForCausalLM


def load(folder, dtype):
    model, info = class_of(folder.name).from_pretrained(folder, dtype=dtype, attn_implementation='eager',
                                       experts_implementation='eager', output_loading_info=True)
    for what in ('missing_keys', 'unexpected_keys', 'mismatched_keys'):
        if info[what]:
            print('  ', what, sorted(info[what])[:6])
    return model.eval()


def run(folder, dtype):
    with torch.no_grad():
        out = load(folder, dtype)(torch.tensor([TOKENS]))
    rows = (out.last_hidden_state if folder.name in ENCODERS else out.logits)[0].double().numpy()
    if folder.name not in DENSE:
        return rows
    pooled = rows.mean(axis=0)
    for i, shape in enumerate(DENSE[folder.name]):
        pooled = weights(f'{i + 2}_Dense/linear.weight', shape).astype(np.float64) @ pooled
    return (pooled / np.linalg.norm(pooled))[None]


def make(name, config, keep):
    folder = pathlib.Path(keep or tempfile.mkdtemp()) / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps(config, indent=1))
    read = AutoConfig.from_pretrained(folder)
    made = class_of(name).from_config(read, attn_implementation='eager')
    made.save_pretrained(folder)
    if name in FUSED:
        parts = made.state_dict()
        save_file({key: parts[key].numpy() for key in parts if key != 'lm_head.weight' or not read.tie_word_embeddings},
                  folder / 'model.safetensors')
    (folder / 'config.json').write_text(json.dumps(config, indent=1))
    with safe_open(folder / 'model.safetensors', 'np') as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}
    if name in WITH_HEAD:
        shapes['lm_head.weight'] = shapes['model.embed_tokens.weight']
    if name in TRANSPOSED:
        shapes = {key: [shape[0], shape[2], shape[1]] if '.experts.' in key else shape for key, shape in shapes.items()}
    packed = [key for key in shapes if name in PACKED and key.endswith('_proj.weight')]
    save_file({key: (ternary if key in packed else weights)(key, shape) for key, shape in shapes.items()}, folder / 'model.safetensors',
              metadata={'format': 'pt'})
    rows = run(folder, torch.float64)
    error = np.linalg.norm(run(folder, torch.float32)[-1] - rows[-1]) / np.linalg.norm(rows[-1])
    rows.astype(np.float32).tofile(folder / 'expected.f32.bin')
    more = {'dense': DENSE[name]} if name in DENSE else {}
    if packed:
        config = {**config, 'quantization_config': BITNET}
        shapes |= {key: [shapes[key][0] // 4, shapes[key][1]] for key in packed}
        shapes |= {key.replace('.weight', '.weight_scale'): [1] for key in packed}
        more = {'packed': packed}
    result = {'config': config, 'encoder': name in ENCODERS, 'tensors': shapes, **more, 'tokens': TOKENS,
              'float32_error': float(f'{error:.1e}'),
              'expected': [float(f'{value:.7g}') for value in rows[-1]]}
    MODELS.mkdir(exist_ok=True)
    text = '{\n' + ',\n'.join(f'{json.dumps(key)}: {json.dumps(value)}' for key, value in result.items()) + '\n}\n'
    (MODELS / f'{name}.json').write_text(text)


def main():
    names = sys.argv[1:]
    keep = None
    if names[:1] == ['--keep']:
        keep, names = names[1], names[2:]
    for name, config in {**CONFIGS, **ENCODERS, **BESIDE_PICTURES}.items():
        if not names or name in names:
            print(name)
            make(name, config, keep)


if __name__ == "__main__":
    main()
