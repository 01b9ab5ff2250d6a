// Splits what a model writes into reasoning, content and calls of tools, while it comes.
import { heldBack } from './stop.js';
import type { CallReader, Part } from './tools/calls.js';
import type { ToolFormat } from './tools/formats.js';

export interface ReasoningMarks {
  open: string;
  close: string;
}

const reasoningMarks: readonly ReasoningMarks[] = [
  { open: '<think>', close: '</think>' },
  { open: '[THINK]', close: '[/THINK]' },
  { open: '<seed:think>', close: '</seed:think>' },
  { open: '<|START_THINKING|>', close: '<|END_THINKING|>' },
];

/** The marks that a template knows; null: its model does not reason aloud. */
export function reasoningOf(template: string): ReasoningMarks | null {
  return reasoningMarks.find(({ close }) => template.includes(close)) ?? null;
}

export interface AnswerParser {
  push(text: string): Part[];
  /** The answer has ended. */
  end(): Part[];
}

type State = 'reasoning' | 'content' | 'call';

/** For all families but those with channels. */
export class MarkedParser implements AnswerParser {
  private state: State;
  private held = '';
  private begun = false; // content has
  private reader: CallReader | null = null;
  private afterCall = false; // what stands between calls is no content

  /**
   * reasons: the prompt has opened the reasoning already. format: null where no tools are offered. once: what comes after
   * the reasoning is content, whatever it spells.
   */
  constructor(
    private marks: ReasoningMarks | null,
    private readonly format: ToolFormat | null,
    reasons = false,
    private readonly once = false,
  ) {
    this.state = reasons && marks ? 'reasoning' : 'content';
  }

  push(text: string): Part[] {
    const parts: Part[] = [];
    this.held += text;
    for (let before = ''; before !== `${this.state} ${this.held.length}`; ) {
      before = `${this.state} ${this.held.length}`;
      if (this.state === 'reasoning') this.readReasoning(parts);
      else if (this.state === 'content') this.readContent(parts);
      else this.readCall(parts);
    }
    return parts;
  }

  end(): Part[] {
    const parts: Part[] = [];
    if (this.state === 'call') {
      const { parts: last, failed } = this.reader!.end();
      parts.push(...last);
      this.give(parts, 'content', failed);
    } else {
      this.give(parts, this.state, this.held);
    }
    this.held = '';
    return parts;
  }

  private give(parts: Part[], kind: 'content' | 'reasoning', text: string): void {
    let shown = text;
    if (!this.begun) shown = shown.trimStart(); // line ends behind the marks
    if (shown === '') return;
    this.begun = true;
    this.afterCall = false;
    parts.push({ kind, text: shown });
  }

  private readReasoning(parts: Part[]): void {
    const { close } = this.marks!;
    const at = this.held.indexOf(close);
    const end = at < 0 ? this.held.length - heldBack(this.held, [close]) : at;
    this.give(parts, 'reasoning', this.held.slice(0, end));
    this.held = this.held.slice(at < 0 ? end : at + close.length);
    if (at < 0) return;
    this.state = 'content';
    this.begun = false;
    if (this.once) this.marks = null;
  }

  private readContent(parts: Part[]): void {
    if (this.afterCall) this.held = this.held.replace(/^[\s;,]+/, '');
    if (this.held === '') return;
    if (!this.begun && this.format?.bare?.test(this.held)) return this.beginCall('', this.held);
    const begins = [...(this.marks ? [this.marks.open] : []), ...(this.format?.begins ?? [])];
    const found = begins
      .map((mark) => ({ mark, at: this.held.indexOf(mark) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at)[0];
    const end = found ? found.at : this.held.length - heldBack(this.held, begins);
    // White space may be what stands before a mark, where it is no content: it waits for what comes.
    const text = begins.length > 0 ? this.held.slice(0, end).trimEnd() : this.held;
    this.give(parts, 'content', text);
    this.held = this.held.slice(found ? found.at : text.length);
    if (!found) return;
    const rest = this.held.slice(found.mark.length);
    if (found.mark !== this.marks?.open) return this.beginCall(found.mark, rest);
    this.state = 'reasoning';
    this.begun = false;
    this.held = rest;
  }

  private beginCall(begin: string, rest: string): void {
    this.state = 'call';
    this.reader = this.format!.reader(begin);
    this.held = rest;
  }

  private readCall(parts: Part[]): void {
    const { parts: made, rest } = this.reader!.push(this.held);
    const failed = made.some(({ kind }) => kind === 'content');
    if (failed) this.begun = true;
    parts.push(...made);
    this.held = '';
    if (rest === null) return;
    this.state = 'content';
    this.reader = null;
    this.held = rest;
    this.afterCall = !failed;
  }
}
