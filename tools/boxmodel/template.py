"""The chat form: ChatML, tools as JSON lines in the system message, calls between <tool_call> and </tool_call>.

JINJA goes into the GGUF file; render() is the same in Python (export.py compares the two).
"""
import json

JINJA = """\
{%- set ns = namespace(system='') -%}
{%- if messages and messages[0]['role'] == 'system' -%}{%- set ns.system = messages[0]['content'] -%}{%- endif -%}
{%- if tools -%}
{{- '<|im_start|>system\\n' -}}
{%- if ns.system -%}{{- ns.system + '\\n' -}}{%- endif -%}
{{- 'Tools:\\n' -}}
{%- for tool in tools -%}{{- (tool['function'] if 'function' in tool else tool) | tojson -}}{{- '\\n' -}}{%- endfor -%}
{{- 'To call a tool, answer <tool_call>{"name": NAME, "arguments": {...}}</tool_call>.<|im_end|>\\n' -}}
{%- elif ns.system -%}
{{- '<|im_start|>system\\n' + ns.system + '<|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] == 'assistant' and message['tool_calls'] -%}
{{- '<|im_start|>assistant\\n' -}}
{%- for call in message['tool_calls'] -%}
{%- set f = call['function'] if 'function' in call else call -%}
{{- '<tool_call>{"name": "' + f['name'] + '", "arguments": ' -}}
{{- f['arguments'] if f['arguments'] is string else (f['arguments'] | tojson) -}}
{{- '}</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- elif not (loop.first and message['role'] == 'system') -%}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

CALL_HINT = 'To call a tool, answer <tool_call>{"name": NAME, "arguments": {...}}</tool_call>.'


def tool_call(name, arguments):
  return "<tool_call>" + json.dumps({"name": name, "arguments": arguments}) + "</tool_call>"


def system_text(system, tools):
  """The content of the system message; empty when there is none."""
  if not tools:
    return system
  return (system + "\n" if system else "") + "Tools:\n" + "".join(json.dumps(t) + "\n" for t in tools) + CALL_HINT


def render(messages, system="", tools=(), ask=True):
  """messages: (role, content) in order. The text ends with the head of the assistant's turn when ask."""
  text = system_text(system, tools)
  out = f"<|im_start|>system\n{text}<|im_end|>\n" if text else ""
  out += "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in messages)
  return out + ("<|im_start|>assistant\n" if ask else "")
