// The forms in which families of models call tools: marks, and who reads what stands behind them.
import { type Call, type CallReader, JsonReader, type Part, parsePythonCalls, WholeReader } from './calls.js';

export interface ToolFormat {
  name: string;
  /** Whether a chat template speaks it. */
  speaks(template: string): boolean;
  /** Marks that begin calls, anywhere in an answer. */
  begins: readonly string[];
  /** Further marks that the tokenizer may hide as control tokens. */
  hidden?: readonly string[];
  /** What an answer that is nothing but a call begins with; it is text after all where no name comes. */
  bare?: RegExp;
  reader(begin: string): CallReader;
}

// Qwen3-Coder and its like: <function=name><parameter=key>value</parameter></function>
function parseFunctionTags(text: string): Call[] | null {
  const calls = Array.from(text.matchAll(/<function=([^>]+)>(.*?)(?:<\/function>|$)/gs), ([, name, body]) => ({
    name: name!.trim(),
    arguments: Object.fromEntries(
      Array.from(body!.matchAll(/<parameter=([^>]+)>\n?(.*?)\n?<\/parameter>/gs), ([, key, value]) => [
        key!.trim(),
        jsonOr(value!),
      ]),
    ),
  }));
  return calls.length > 0 ? calls : null;
}

// A value without a type: JSON where it is some, else the text.
function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

// FunctionGemma: call:name{key:<escape>text<escape>,other:3}
function parseGemmaCall(text: string): Call[] | null {
  const match = /^call:([\w.-]+)(\{.*\})$/s.exec(text);
  if (!match) return null;
  const quoted = match[2]!.replace(/<escape>(.*?)<escape>/gs, (_, inner: string) => JSON.stringify(inner));
  return (
    parsePythonCalls(`f(x=${quoted})`)?.map(({ arguments: given }) => ({
      name: match[1]!,
      arguments: given['x'] as Record<string, unknown>,
    })) ?? null
  );
}

// Mistral: the older models write a list of objects, the newer ones name[ARGS]{…}.
class MistralReader implements CallReader {
  private text = '';
  private list: JsonReader | null = null;

  push(text: string): ReturnType<CallReader['push']> {
    if (this.list) return this.list.push(text);
    this.text += text;
    const seen = this.text.trimStart();
    if (seen.startsWith('[{') || /^\[\s+\S/.test(seen) || seen.startsWith('{')) {
      this.list = new JsonReader(this.begin, '');
      return this.list.push(seen);
    }
    const form = /^([\w.-]+)\s*(?:\[CALL_ID\][\w-]*)?\s*(?:\[ARGS\])?\s*(?=\{)/.exec(seen);
    const end = form ? objectEnd(seen, form[0].length) : -1;
    if (!form || end < 0) return { parts: [], rest: null };
    const parts: Part[] = [
      { kind: 'call', name: form[1]! },
      { kind: 'arguments', text: seen.slice(form[0].length, end) },
    ];
    return { parts, rest: seen.slice(end) };
  }

  end(): ReturnType<CallReader['end']> {
    return this.list?.end() ?? { parts: [], failed: this.begin + this.text };
  }

  private readonly begin = '[TOOL_CALLS]';
}

/** Where the object of JSON that begins at `from` ends; -1: not yet. */
function objectEnd(text: string, from: number): number {
  let depth = 0;
  for (const { 0: part, index } of text.slice(from).matchAll(/"(?:[^"\\]|\\.)*"?|[{}]/gs)) {
    if (part === '{') depth++;
    if (part === '}' && --depth === 0) return from + index + 1;
  }
  return -1;
}

export const toolFormats: readonly ToolFormat[] = [
  {
    name: 'function-tags',
    speaks: (template) => template.includes('<tool_call>') && template.includes('<function='),
    begins: ['<tool_call>'],
    hidden: ['</tool_call>'],
    reader: (begin) => new WholeReader(begin, '</tool_call>', parseFunctionTags),
  },
  {
    name: 'hermes', // and Qwen
    speaks: (template) => template.includes('<tool_call>'),
    begins: ['<tool_call>'],
    hidden: ['</tool_call>'],
    reader: (begin) => new JsonReader(begin, '</tool_call>'),
  },
  {
    name: 'mistral',
    speaks: (template) => template.includes('[TOOL_CALLS]'),
    begins: ['[TOOL_CALLS]'],
    hidden: ['[ARGS]', '[CALL_ID]'],
    reader: () => new MistralReader(),
  },
  {
    name: 'granite',
    speaks: (template) => template.includes('<|tool_call|>'),
    begins: ['<|tool_call|>', '<tool_call>'],
    hidden: ['</tool_call>'],
    reader: (begin) => new JsonReader(begin, begin === '<tool_call>' ? '</tool_call>' : ''),
  },
  {
    name: 'lfm2',
    speaks: (template) => template.includes('<|tool_call_start|>') || template.includes('<|tool_list_start|>'),
    begins: ['<|tool_call_start|>'],
    hidden: ['<|tool_call_end|>'],
    reader: (begin) => new WholeReader(begin, '<|tool_call_end|>', parsePythonCalls),
  },
  {
    name: 'function-gemma',
    speaks: (template) => template.includes('<start_function_call>'),
    begins: ['<start_function_call>'],
    hidden: ['<end_function_call>', '<escape>'],
    reader: (begin) => new WholeReader(begin, '<end_function_call>', parseGemmaCall),
  },
  {
    name: 'gemma',
    speaks: (template) => template.includes('<start_of_turn>'),
    begins: ['```tool_code\n', '```tool_call\n'],
    bare: /^\s*\{/,
    reader: (begin) => (begin === '' ? new JsonReader('', '') : new WholeReader(begin, '```', parsePythonCalls)),
  },
  {
    name: 'llama3',
    speaks: (template) => template.includes('<|start_header_id|>'),
    begins: ['<|python_tag|>'],
    hidden: ['<|eom_id|>'],
    bare: /^\s*\{/,
    reader: (begin) => new JsonReader(begin, ''),
  },
];

/** For a template that speaks none of the forms: the two most common. */
export const anyFormat: ToolFormat = {
  name: 'any',
  speaks: () => true,
  begins: ['<tool_call>'],
  hidden: ['</tool_call>'],
  bare: /^\s*\{/,
  reader: (begin) => new JsonReader(begin, begin === '' ? '' : '</tool_call>'),
};

export const toolFormatOf = (template: string): ToolFormat =>
  toolFormats.find(({ speaks }) => speaks(template)) ?? anyFormat;
