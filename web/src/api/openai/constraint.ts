// What a request lets its answer be: response_format, and a tool choice that leaves no other.
import type { Constraint } from '../../runtime/types.js';
import type { ToolUse } from './messages.js';
import { FieldError, isObject, show } from './request.js';
import type { ChatRequest, FunctionTool } from './types.js';

/** undefined: any text. */
export function constraintOf(request: ChatRequest, use: ToolUse): Constraint | undefined {
  const constraint = formatOf(request);
  if (!use.required) return constraint;
  if (constraint) throw new FieldError('response_format', 'is not supported where a tool must be called');
  const definitions = definitionsOf(use.tools);
  return { kind: 'schema', schema: { anyOf: use.tools.map((tool) => callSchema(tool.function)), ...definitions } };
}

// References in a tool's schema start at its root: what they name goes to the root of all.
function definitionsOf(tools: readonly FunctionTool[]): Record<string, unknown> {
  const all: Record<string, Record<string, unknown>> = {};
  for (const [i, { function: made }] of tools.entries()) {
    for (const key of ['$defs', 'definitions']) {
      const own = made.parameters?.[key];
      if (!isObject(own)) continue;
      for (const [name, schema] of Object.entries(own)) {
        const other = all[key]?.[name];
        if (other !== undefined && JSON.stringify(other) !== JSON.stringify(schema)) {
          throw new FieldError(
            `tools[${i}].function.parameters.${key}.${name}`,
            'is another than that of the tool before',
          );
        }
        all[key] = { ...all[key], [name]: schema };
      }
    }
  }
  return all;
}

function formatOf({ response_format: format }: ChatRequest): Constraint | undefined {
  if (format === undefined) return undefined;
  if (!isObject(format)) throw new FieldError('response_format', `is ${show(format)}, not an object`);
  if (format.type === 'text') return undefined;
  if (format.type === 'json_object') return { kind: 'json' };
  if (format.type === 'json_schema') {
    const schema: unknown = isObject(format.json_schema)
      ? (format.json_schema.schema ?? { type: 'object' })
      : undefined;
    if (!isObject(schema)) throw new FieldError('response_format.json_schema', 'has no schema');
    return { kind: 'schema', schema };
  }
  if (format.type === 'grammar') {
    if (typeof format.grammar === 'string') return { kind: 'grammar', grammar: format.grammar };
    throw new FieldError('response_format.grammar', `is ${show(format.grammar)}, not a text`);
  }
  const { type } = format as { type?: unknown };
  throw new FieldError('response_format.type', `${show(type)} is not supported`);
}

// A call as most models write it.
function callSchema({ name, parameters }: { name: string; parameters?: Record<string, unknown> }): object {
  const given = parameters ?? { type: 'object', properties: {} };
  return {
    type: 'object',
    properties: { name: { const: name }, arguments: given },
    required: ['name', 'arguments'],
    additionalProperties: false,
  };
}
