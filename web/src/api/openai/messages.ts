// The messages and tools of a request, checked, as chat templates want them.
import { checkType, FieldError, isObject, show } from './request.js';
import type { ChatRequest, FunctionTool, ToolChoice } from './types.js';

const roles = ['system', 'developer', 'user', 'assistant', 'tool'];

export interface TemplateMessage {
  role: string;
  content: string;
  reasoning_content?: string;
  name?: string;
  tool_call_id?: string;
  tool_calls?: { id: string; type: 'function'; function: { name: string; arguments: unknown } }[];
}

export function messagesOf({ messages }: ChatRequest): TemplateMessage[] {
  if (!Array.isArray(messages)) throw new FieldError('messages', `is ${show(messages)}, not a list`);
  if (messages.length === 0) throw new FieldError('messages', 'is empty');
  return messages.map((message: unknown, i) => messageOf(message, `messages[${i}]`));
}

function messageOf(message: unknown, field: string): TemplateMessage {
  if (!isObject(message)) throw new FieldError(field, `is ${show(message)}, not an object`);
  const { role, content, name, reasoning_content: reasoning, tool_call_id: id, tool_calls: calls } = message;
  if (typeof role !== 'string' || !roles.includes(role)) {
    throw new FieldError(`${field}.role`, `is ${show(role)}, not one of ${roles.join(', ')}`);
  }
  for (const part of ['audio', 'function_call']) {
    if (message[part] !== undefined && message[part] !== null)
      throw new FieldError(`${field}.${part}`, 'is not supported');
  }
  const optional = role === 'assistant' && (content === undefined || content === null);
  const out: TemplateMessage = {
    role: role === 'developer' ? 'system' : role, // which templates know
    content: optional ? '' : textOf(content, `${field}.content`),
  };
  for (const text of ['name', 'reasoning_content', 'tool_call_id']) checkType(nonNull(message), text, 'string');
  if (typeof name === 'string') out.name = name;
  if (typeof reasoning === 'string') out.reasoning_content = reasoning;
  if (typeof id === 'string') out.tool_call_id = id;
  if (role === 'tool' && id === undefined) throw new FieldError(`${field}.tool_call_id`, 'is missing');
  if (calls !== undefined && calls !== null) out.tool_calls = callsOf(calls, `${field}.tool_calls`);
  return out;
}

function nonNull(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}

function textOf(content: unknown, field: string): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw new FieldError(field, `is ${show(content)}, not a text or a list of parts`);
  const parts = content.map((part: unknown, i) => {
    const at = `${field}[${i}]`;
    if (!isObject(part)) throw new FieldError(at, `is ${show(part)}, not a part`);
    if (part['type'] !== 'text')
      throw new FieldError(`${at}.type`, `${show(part['type'])} is not supported, only text is`);
    if (typeof part['text'] !== 'string') throw new FieldError(`${at}.text`, `is ${show(part['text'])}, not a text`);
    return part['text'];
  });
  return parts.join('\n');
}

function callsOf(calls: unknown, field: string): NonNullable<TemplateMessage['tool_calls']> {
  if (!Array.isArray(calls)) throw new FieldError(field, `is ${show(calls)}, not a list`);
  return calls.map((call: unknown, i) => {
    const made = isObject(call) && isObject(call['function']) ? call['function'] : null;
    if (!made || typeof made['name'] !== 'string' || typeof made['arguments'] !== 'string') {
      throw new FieldError(`${field}[${i}]`, 'is not a call of a function with a name and arguments');
    }
    const { name, arguments: given } = made;
    return {
      id: String((call as { id?: unknown }).id ?? ''),
      type: 'function',
      function: { name, arguments: parsed(given) },
    };
  });
}

// Templates write arguments as JSON themselves.
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The tools that the model may call. */
export interface ToolUse {
  tools: FunctionTool[];
  /** required: it must call one; of a named tool the list has only that. */
  required: boolean;
  parallel: boolean;
}

export function toolUseOf(request: ChatRequest): ToolUse {
  const { tools = [], tool_choice: choice, parallel_tool_calls: parallel } = request;
  checkType(request, 'parallel_tool_calls', 'boolean');
  if (!Array.isArray(tools)) throw new FieldError('tools', `is ${show(tools)}, not a list`);
  tools.forEach((tool: unknown, i) => checkTool(tool, `tools[${i}]`));
  const named = chosenName(choice, tools);
  const offered = choice === 'none' ? [] : tools.filter(({ function: { name } }) => named === null || name === named);
  return { tools: offered, required: choice === 'required' || named !== null, parallel: parallel ?? true };
}

function checkTool(tool: unknown, field: string): void {
  if (!isObject(tool)) throw new FieldError(field, `is ${show(tool)}, not an object`);
  if (tool['type'] !== 'function')
    throw new FieldError(`${field}.type`, `${show(tool['type'])} is not supported, only function is`);
  const { function: made } = tool;
  if (!isObject(made) || typeof made['name'] !== 'string' || made['name'] === '') {
    throw new FieldError(`${field}.function.name`, 'is missing');
  }
  const { parameters, description } = made;
  if (parameters !== undefined && !isObject(parameters))
    throw new FieldError(`${field}.function.parameters`, 'is no schema');
  checkType({ description }, 'description', 'string');
}

/** The tool that the choice names; null: it names none. */
function chosenName(choice: ToolChoice | undefined, tools: FunctionTool[]): string | null {
  if (choice === undefined || choice === 'none' || choice === 'auto') return null;
  if (choice === 'required') {
    if (tools.length === 0) throw new FieldError('tool_choice', 'is required, and there are no tools');
    return null;
  }
  const made: unknown = isObject(choice) && choice.type === 'function' ? choice.function : null;
  const name = isObject(made) ? made['name'] : undefined;
  if (typeof name !== 'string') throw new FieldError('tool_choice', `${show(choice)} is not supported`);
  if (tools.some((tool) => tool.function.name === name)) return name;
  throw new FieldError('tool_choice', `there is no tool ${show(name)}`);
}
