// Chat templates for model files that bring none: that of the family whose marks the vocabulary has, else plain words.
const llama3 =
  '{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}';
const gemma =
  "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}";
const mistral =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ eos_token }}{% else %}[INST] {{ m.content }} [/INST]{% endif %}{% endfor %}";
const chatMl =
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';
const plain =
  '{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}';

/** mark: a special token of the family, which the vocabulary must have. */
const families: readonly { mark: string; template: string }[] = [
  { mark: '<|im_start|>', template: chatMl },
  { mark: '<|start_header_id|>', template: llama3 },
  { mark: '<start_of_turn>', template: gemma },
  { mark: '[INST]', template: mistral },
];

/** A template whose marks are tokens of the model. isToken: whether a text is one token of its vocabulary. */
export async function builtinTemplate(isToken: (text: string) => Promise<boolean>): Promise<BuiltinTemplate> {
  for (const { mark, template } of families) if (await isToken(mark)) return { template, stops: [] };
  return { template: plain, stops: ['\n\nUser:', '\n\nSystem:', '\n\nTool:'] };
}

export interface BuiltinTemplate {
  template: string;
  /** Where a model that knows no end of its turn goes on with the other's. */
  stops: string[];
}
