// A call of a tool, and what the tool answered.
import type { ToolCall } from 'pronk';
import type { Message } from '../message';

export function ToolCallBox({ call }: { call: ToolCall }) {
  const { name, arguments: given } = call.function;
  return (
    <div class="tool">
      <span class="tool-head">Calls a tool</span>
      <code>
        {name}({argumentsText(given)})
      </code>
    </div>
  );
}

/** As `name: value`; what is no JSON object is shown as it is. */
function argumentsText(given: string): string {
  try {
    const values: unknown = JSON.parse(given);
    if (typeof values !== 'object' || values === null) return given;
    return Object.entries(values)
      .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
      .join(', ');
  } catch {
    return given;
  }
}

export function ToolResult({ message }: { message: Message }) {
  return (
    <li class="message tool">
      <span class="tool-head">
        {message.text.includes('weather') ? 'The tool answers (this page invents the weather)' : 'The tool answers'}
      </span>
      <code>{message.text}</code>
    </li>
  );
}
