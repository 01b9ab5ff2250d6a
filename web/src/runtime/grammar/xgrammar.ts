// The part of @mlc-ai/web-xgrammar that is used here. The build puts the package itself beside this file, in one script
// (scripts/bundle.mjs), so that only those who ask for a constraint load it.
interface Owned {
  dispose(): void;
}

export interface Matcher extends Owned {
  acceptToken(token: number): boolean;
  isTerminated(): boolean;
}

export type TokenizerInfo = Owned;
export type CompiledGrammar = Owned;

export interface Compiler extends Owned {
  compileJSONSchema(
    schema: string,
    anyWhitespace: boolean,
    indent: number,
    separators: [string, string] | undefined,
    strict: boolean,
  ): Promise<CompiledGrammar>;
  compileGrammar(grammar: string): Promise<CompiledGrammar>;
}

export interface XGrammar {
  TokenizerInfo: {
    /** kind 'byte_level': each byte of a token as a character, in the way of GPT-2. */
    createTokenizerInfo(
      vocabulary: string[],
      kind: string,
      prependSpace: boolean,
      size: number,
      stopTokens: number[],
    ): Promise<TokenizerInfo>;
  };
  GrammarCompiler: { createGrammarCompiler(info: TokenizerInfo, cached: boolean): Promise<Compiler> };
  GrammarMatcher: { createGrammarMatcher(grammar: CompiledGrammar): Promise<Matcher> };
  /** A bit for each token that may come next; the package has it as a promise alone. */
  nextMask(matcher: Matcher): Int32Array;
  /** What it would have written to the console since the last call. */
  takeComplaints(): string[];
}

let provided: (() => XGrammar) | null = null;

/** By constraints.ts alone. */
export function provideXGrammar(create: () => XGrammar): void {
  provided = create;
}

/** A copy with a memory of its own. */
export async function loadXGrammar(): Promise<XGrammar> {
  if (provided) return provided();
  // Bundlers copy the script by this very form of the expression; it is no part of any other.
  const url = new URL('./xgrammar-bundle.js', import.meta.url);
  const script = (await import(/* @vite-ignore */ /* webpackIgnore: true */ url.href)) as { create(): XGrammar };
  return script.create();
}
