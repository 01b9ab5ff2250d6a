// Reads the calls of tools that a model writes. Each family has a form of its own; formats.ts is their table.

/** A part of an answer, in the order in which it was written. */
export type Part =
  | { kind: 'content' | 'reasoning' | 'arguments'; text: string } // arguments: a piece of the last call's JSON
  | { kind: 'call'; name: string }; // a call begins

export interface Call {
  name: string;
  arguments: Record<string, unknown>;
}

/** Reads what stands behind the mark that begins calls. */
export interface CallReader {
  /** rest: what follows the calls, once they have ended; null before. */
  push(text: string): { parts: Part[]; rest: string | null };
  /** The answer has ended. failed: the text that turned out to be no call. */
  end(): { parts: Part[]; failed: string };
}

export function partsOf(calls: readonly Call[]): Part[] {
  return calls.flatMap(({ name, arguments: given }): Part[] => [
    { kind: 'call', name },
    { kind: 'arguments', text: JSON.stringify(given) },
  ]);
}

/** Calls in a form that is read as a whole. parse: null where the text is no call. */
export class WholeReader implements CallReader {
  private text = '';

  constructor(
    private readonly begin: string,
    private readonly close: string,
    private readonly parse: (text: string) => Call[] | null,
  ) {}

  push(text: string): { parts: Part[]; rest: string | null } {
    this.text += text;
    const at = this.text.indexOf(this.close);
    if (at < 0) return { parts: [], rest: null };
    const rest = this.text.slice(at + this.close.length);
    this.text = this.text.slice(0, at);
    const { parts, failed } = this.end();
    return { parts: failed === '' ? parts : [{ kind: 'content', text: failed + this.close }], rest };
  }

  end(): { parts: Part[]; failed: string } {
    const calls = this.parse(this.text.trim());
    return calls ? { parts: partsOf(calls), failed: '' } : { parts: [], failed: this.begin + this.text };
  }
}

const nameKeys = new Set(['name', 'function', 'tool_name']);
const argumentKeys = new Set(['arguments', 'parameters', 'args']);

/**
 * Calls as JSON objects, {"name": …, "arguments": {…}}, alone or in a list; arguments are handed on as they come.
 * close: the mark behind them; '': they end with the object or list.
 */
export class JsonReader implements CallReader {
  private seen = ''; // until the first name
  private named = false;
  private held = ''; // arguments that came before their name
  private depth = 0; // of objects and lists within a call
  private inList = false;
  private inText = false;
  private escaped = false;
  private text = ''; // the string or bare value being read, of a call's own keys
  private key: string | null = null;
  private inArguments = false;
  private hasName = false; // of the call being read
  private hasArguments = false;
  private readonly parts: Part[] = [];
  private over = false;
  private tail = '';

  constructor(
    private readonly begin: string,
    private readonly close: string,
  ) {}

  push(text: string): { parts: Part[]; rest: string | null } {
    for (let i = 0; i < text.length; i++) {
      if (this.over) {
        this.tail += text.slice(i);
        break;
      }
      if (!this.named) this.seen += text[i];
      if (this.step(text[i]!)) continue;
      // What is no call is text; where a call has begun nothing can be taken back, and the rest is text.
      if (!this.named) this.parts.push({ kind: 'content', text: this.begin + this.seen });
      return { parts: this.take(), rest: text.slice(i + 1) };
    }
    return { parts: this.take(), rest: this.over ? this.afterClose() : null };
  }

  end(): { parts: Part[]; failed: string } {
    const failed = this.named || this.over ? '' : this.begin + this.seen;
    return { parts: this.take(), failed };
  }

  private take(): Part[] {
    return this.parts.splice(0);
  }

  private afterClose(): string | null {
    if (this.close === '') return this.tail;
    const tail = this.tail.trimStart();
    if (tail.startsWith(this.close)) return tail.slice(this.close.length);
    return this.close.startsWith(tail) ? null : this.tail;
  }

  /** false: this is not the form. */
  private step(c: string): boolean {
    if (this.inText) return this.inString(c);
    if (this.depth === 0) return this.between(c);
    if (this.inArguments) return this.inValue(c);
    return this.inCall(c);
  }

  private between(c: string): boolean {
    if (/\s/.test(c)) return true;
    if (c === '{') this.depth = 1;
    else if (c === '[' && !this.inList) this.inList = true;
    else if (c === ']' && this.inList) this.over = true;
    else if (c !== ',' || !this.inList) return false;
    return true;
  }

  private inCall(c: string): boolean {
    if (c === '"') {
      this.inText = true;
      this.text = '';
    } else if (c === ':') {
      this.key = this.text;
      this.text = '';
      this.inArguments = argumentKeys.has(this.key);
    } else if (c === ',') {
      this.key = null;
    } else if (c === '}') {
      return this.endCall();
    } else if (c === '{' || c === '[' || c === ']') {
      return false;
    }
    return true;
  }

  // The value of "arguments": depth counts from the call's own object.
  private inValue(c: string): boolean {
    if (this.depth === 1 && (c === ',' || c === '}')) {
      this.inArguments = false;
      this.key = null;
      return c === '}' ? this.endCall() : true;
    }
    if (c === '"') {
      this.inText = true;
      if (this.depth === 1) this.text = ''; // arguments as a text of JSON
    }
    if (c === '{' || c === '[') this.depth++;
    if (c === '}' || c === ']') this.depth--;
    if (this.depth > 1 || c === '}' || c === ']') this.give(c);
    return true;
  }

  private inString(c: string): boolean {
    const begun = this.escaped;
    this.escaped = c === '\\' && !begun;
    const ends = c === '"' && !begun;
    if (ends) this.inText = false;
    if (this.inArguments && this.depth > 1) {
      this.give(c);
    } else if (!ends) {
      this.text += c;
    } else if (this.inArguments) {
      this.give(unquoted(this.text));
    } else if (this.key !== null && nameKeys.has(this.key)) {
      this.begun(unquoted(this.text));
    }
    return true;
  }

  private begun(name: string): void {
    if (this.hasName) return;
    this.named = this.hasName = true;
    this.parts.push({ kind: 'call', name });
    if (this.held !== '') this.parts.push({ kind: 'arguments', text: this.held });
    this.hasArguments = this.held !== '';
    this.held = '';
  }

  private give(text: string): void {
    if (!this.hasName) {
      this.held += text;
      return;
    }
    this.hasArguments = true;
    const last = this.parts.at(-1);
    if (last?.kind === 'arguments') last.text += text;
    else this.parts.push({ kind: 'arguments', text });
  }

  private endCall(): boolean {
    if (!this.hasName) return false;
    if (!this.hasArguments) this.parts.push({ kind: 'arguments', text: '{}' });
    this.hasName = this.hasArguments = false;
    this.held = '';
    this.key = null;
    this.depth = 0;
    this.over = !this.inList;
    return true;
  }
}

function unquoted(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text;
  }
}

/** Calls as Python writes them: name(key="text", other=[1, 2]), one after another or in a list. */
export function parsePythonCalls(text: string): Call[] | null {
  const inner = /^\[(.*)\]$/s.exec(text)?.[1] ?? text;
  const calls: Call[] = [];
  const reader = new Reader(inner);
  try {
    while (!reader.atEnd) {
      const name = reader.word();
      reader.expect('(');
      const given: Record<string, unknown> = {};
      while (!reader.take(')')) {
        const key = reader.word();
        reader.expect('=');
        given[key] = reader.value();
        if (!reader.take(',') && !reader.sees(')')) return null;
      }
      calls.push({ name, arguments: given });
      if (!reader.take(',')) reader.take(';');
    }
  } catch {
    return null;
  }
  return calls.length > 0 ? calls : null;
}

/** Values of Python and JSON; throws at what is none. */
class Reader {
  private at = 0;
  constructor(private readonly text: string) {}

  get atEnd(): boolean {
    return this.rest().length === 0;
  }
  private rest(): string {
    while (/\s/.test(this.text[this.at] ?? '')) this.at++;
    return this.text.slice(this.at);
  }
  private match(form: RegExp): string {
    const found = form.exec(this.rest())?.[0];
    if (found === undefined) throw new SyntaxError('not a call');
    this.at += found.length;
    return found;
  }
  sees(mark: string): boolean {
    return this.rest().startsWith(mark);
  }
  take(mark: string): boolean {
    const there = this.sees(mark);
    if (there) this.at += mark.length;
    return there;
  }
  expect(mark: string): void {
    if (!this.take(mark)) throw new SyntaxError(`no ${mark}`);
  }
  word(): string {
    return this.match(/^[A-Za-z_][\w.-]*/);
  }
  value(): unknown {
    if (this.take('[')) return this.list();
    if (this.take('{')) return this.object();
    if (this.sees('"') || this.sees("'")) return this.string();
    const bare = this.match(/^[^\s,()[\]{}=:]+/);
    const known: Record<string, unknown> = {
      True: true,
      true: true,
      False: false,
      false: false,
      None: null,
      null: null,
    };
    if (Object.hasOwn(known, bare)) return known[bare];
    if (Number.isNaN(Number(bare))) throw new SyntaxError('not a value');
    return Number(bare);
  }
  private string(): string {
    const quoted = this.match(/^(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/s);
    const inner = quoted.slice(1, -1).replaceAll("\\'", "'");
    return unquoted(quoted[0] === '"' ? inner : inner.replace(/(?<!\\)"/g, '\\"'));
  }
  private list(): unknown[] {
    const out: unknown[] = [];
    while (!this.take(']')) {
      out.push(this.value());
      if (!this.take(',') && !this.sees(']')) throw new SyntaxError('no ]');
    }
    return out;
  }
  private object(): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    while (!this.take('}')) {
      const key = this.sees('"') || this.sees("'") ? this.string() : this.word();
      this.expect(':');
      out[key] = this.value();
      if (!this.take(',') && !this.sees('}')) throw new SyntaxError('no }');
    }
    return out;
  }
}
