// The channels of gpt-oss: <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…
// https://cookbook.openai.com/articles/openai-harmony
import type { AnswerParser } from './answer-parser.js';
import { heldBack } from './stop.js';
import type { Part } from './tools/calls.js';

export const harmonyMarks = [
  '<|start|>',
  '<|channel|>',
  '<|constrain|>',
  '<|message|>',
  '<|end|>',
  '<|call|>',
  '<|return|>',
];

export const speaksHarmony = (template: string): boolean =>
  template.includes('<|channel|>') && template.includes('<|message|>');

const ends = ['<|end|>', '<|call|>', '<|return|>', '<|start|>'];

export class HarmonyParser implements AnswerParser {
  private held = '';
  private header: string | null = ''; // being read; null: a message's text is
  private kind: 'content' | 'reasoning' | 'arguments' = 'content';

  push(text: string): Part[] {
    const parts: Part[] = [];
    this.held += text;
    while (this.header === null ? this.readMessage(parts) : this.readHeader(parts));
    return parts;
  }

  end(): Part[] {
    const rest = this.header === null ? this.held : '';
    this.held = '';
    return rest === '' ? [] : [{ kind: this.kind, text: rest }];
  }

  private readHeader(parts: Part[]): boolean {
    const at = this.held.indexOf('<|message|>');
    if (at < 0) return false;
    const header = this.held.slice(0, at);
    this.held = this.held.slice(at + '<|message|>'.length);
    this.header = null;
    const name = /\bto=(?:functions\.)?([\w.-]+)/.exec(header)?.[1];
    this.kind = name ? 'arguments' : header.includes('analysis') ? 'reasoning' : 'content';
    if (name) parts.push({ kind: 'call', name });
    return true;
  }

  private readMessage(parts: Part[]): boolean {
    const found = ends.map((mark) => ({ mark, at: this.held.indexOf(mark) })).filter(({ at }) => at >= 0);
    const first = found.sort((a, b) => a.at - b.at)[0];
    const end = first ? first.at : this.held.length - heldBack(this.held, ends);
    if (end > 0) parts.push({ kind: this.kind, text: this.held.slice(0, end) });
    this.held = this.held.slice(first ? end + first.mark.length : end);
    if (!first) return false;
    this.header = '';
    return true;
  }
}
