// Constraints on an answer as masks of tokens, by xgrammar.
import { messageOf, PronkError } from '../errors.js';
import type { Constraint, TokenMask } from '../types.js';
import { ByteLimits } from './byte-limits.js';
import { keptSchema } from './schema.js';
import { type CompiledGrammar, type Compiler, loadXGrammar, type Matcher, type XGrammar } from './xgrammar.js';

export interface Vocabulary {
  /** The bytes of each token; none of those that no text spells. */
  pieces: readonly Uint8Array[];
  /** Tokens that end an answer. */
  ends: readonly number[];
}

const keptGrammars = 16;
const mostFailures = 16; // of one copy of the library, which bears about fifty

interface Started {
  library: XGrammar;
  compiler: Compiler;
  vocabulary: Vocabulary;
  limits: ByteLimits;
}

export class Grammars {
  private ready: Promise<Started> | null = null;
  private readonly compiled = new Map<string, CompiledGrammar>(); // the last used at the end
  private failures = 0;

  constructor(
    private readonly vocabulary: () => Vocabulary,
    private readonly load: () => Promise<XGrammar> = loadXGrammar,
  ) {}

  /** A mask for one answer, to be closed after it. A constraint that cannot be kept is an error 'bad-argument'. */
  async mask({ after, ...constraint }: Constraint): Promise<TokenMask & { close(): void }> {
    this.ready ??= this.start();
    const started = await this.ready.catch((error: unknown) => {
      this.ready = null;
      throw new PronkError('internal', `the grammars cannot be loaded: ${messageOf(error)}`, { cause: error });
    });
    const grammar = await this.grammar(started, constraint);
    const { library, vocabulary, limits } = started;
    const matcher = await library.GrammarMatcher.createGrammarMatcher(grammar);
    const mask = new GrammarMask(library, matcher, vocabulary, limits, constraint.kind !== 'grammar');
    return after === undefined ? mask : new LaterMask(mask, after, vocabulary);
  }

  private async start(): Promise<Started> {
    const library = await this.load();
    const vocabulary = this.vocabulary();
    const { pieces, ends } = vocabulary;
    const spelled = pieces.map((bytes) => Array.from(bytes, (byte) => byteCharacters[byte]).join(''));
    const info = await library.TokenizerInfo.createTokenizerInfo(spelled, 'byte_level', false, pieces.length, [
      ...ends,
    ]);
    const compiler = await library.GrammarCompiler.createGrammarCompiler(info, false);
    return { library, compiler, vocabulary, limits: new ByteLimits(pieces) };
  }

  private async grammar(started: Started, constraint: Constraint): Promise<CompiledGrammar> {
    const key = JSON.stringify(constraint);
    const known = this.compiled.get(key);
    this.compiled.delete(key);
    const grammar = known ?? (await this.compile(started, constraint));
    this.compiled.set(key, grammar);
    for (const [oldest, old] of this.compiled) {
      if (this.compiled.size <= keptGrammars) break;
      this.compiled.delete(oldest);
      old.dispose();
    }
    return grammar;
  }

  private async compile({ library, compiler }: Started, constraint: Constraint): Promise<CompiledGrammar> {
    const text = constraint.kind === 'grammar' ? constraint.grammar : JSON.stringify(schemaOf(constraint));
    library.takeComplaints();
    let why: string | undefined;
    try {
      // A schema's text is one line: where white space is free, a small model may write nothing else.
      const grammar =
        constraint.kind === 'grammar'
          ? await compiler.compileGrammar(text)
          : await compiler.compileJSONSchema(text, false, -1, undefined, false);
      why = library.takeComplaints()[0];
      if (why === undefined) return grammar;
      grammar.dispose();
    } catch (error) {
      why = library.takeComplaints()[0] ?? messageOf(error);
      this.countFailure();
    }
    const words = why.replace(/^\[\w+\] \S+:\d+: /, '').replace(/\s+/g, ' ');
    throw new PronkError('bad-argument', `the ${constraint.kind} is not supported: ${words.slice(0, 300)}`);
  }

  // What fails leaves its stack behind: after a while another copy takes over.
  private countFailure(): void {
    if (++this.failures % mostFailures !== 0) return;
    this.ready = null;
    this.compiled.clear();
  }
}

function schemaOf(constraint: Constraint & { kind: 'json' | 'schema' }): unknown {
  return constraint.kind === 'json' ? { type: 'object' } : keptSchema(constraint.schema);
}

export class GrammarMask implements TokenMask {
  private lastByte = 0; // of the answer

  constructor(
    private readonly library: XGrammar,
    private readonly matcher: Matcher,
    private readonly vocabulary: Vocabulary,
    private readonly limits: ByteLimits,
    private readonly oneLine: boolean,
  ) {}

  next(): Uint32Array | null {
    if (this.matcher.isTerminated()) return null; // after an end token nothing is asked for
    const { buffer, byteOffset, length } = this.library.nextMask(this.matcher);
    const words = new Uint32Array(buffer, byteOffset, length);
    this.limits.apply(words, this.lastByte, this.oneLine);
    if (words.every((word) => word === 0)) {
      throw new PronkError(
        'bad-argument',
        'the constraint cannot be met: nothing that the model can write may come next',
      );
    }
    return words;
  }

  accept(token: number): void {
    this.lastByte = this.vocabulary.pieces[token]?.at(-1) ?? 0;
    if (this.matcher.isTerminated() || this.matcher.acceptToken(token)) return;
    throw new PronkError('internal', `token ${token} breaks the constraint that it was masked by`);
  }

  close(): void {
    this.matcher.dispose();
  }
}

/** Allows all tokens but ends up to the one that the constraint begins after. */
class LaterMask implements TokenMask {
  private begun = false;
  private readonly free: Uint32Array;

  constructor(
    private readonly mask: GrammarMask,
    private readonly after: number,
    { pieces, ends }: Vocabulary,
  ) {
    this.free = new Uint32Array(Math.ceil(pieces.length / 32)).fill(0xffffffff);
    for (const id of ends) this.free[id >> 5]! &= ~(1 << (id & 31));
  }

  next(): Uint32Array | null {
    return this.begun ? this.mask.next() : this.free;
  }

  accept(token: number): void {
    if (this.begun) this.mask.accept(token);
    else this.begun = token === this.after;
  }

  close(): void {
    this.mask.close();
  }
}

// GPT-2's characters for bytes: printable ones stand for themselves, the others for those from 256 on.
const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    return String.fromCharCode(printable ? byte : next++);
  });
})();
