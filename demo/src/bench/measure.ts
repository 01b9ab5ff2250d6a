// How fast the loaded model is, by how much it has in mind: through the package's public API.
import type { Session } from 'pronk';

export interface Row {
  depth: number; // tokens in the context before
  prefill: number; // tokens a second, of those that this depth adds; 0: too few to tell
  decode: number; // tokens a second
}

const decoded = 32; // tokens of a run
const runs = 3; // at each depth; the middle one counts
const told = 16; // prompt tokens that say something of the speed
const text = 'The quick brown fox jumps over the lazy dog, and the dog sleeps on. ';

/** Depths in powers of two that the context has room for. */
export function depthsOf(contextLength: number): number[] {
  const depths: number[] = [16];
  for (let depth = 128; depth + decoded < contextLength; depth *= 2) depths.push(depth);
  return depths.filter((depth) => depth + decoded < contextLength);
}

/** Gives a row for each depth as it is measured, until the signal aborts. */
export async function measure(
  engine: Pick<Session, 'tokenize' | 'generate' | 'plan'>,
  signal: AbortSignal,
  onRow: (row: Row) => void,
): Promise<void> {
  const some = await engine.tokenize(text);
  const options = { temperature: 0, maxTokens: decoded, ignoreEos: true, signal };
  const tokensOf = (count: number): number[] => Array.from({ length: count }, (_, i) => some[i % some.length]!);
  await engine.generate(tokensOf(told), options).result; // what is made once is made now
  for (const depth of depthsOf(engine.plan.contextLength)) {
    const { timings, promptTokens, reusedTokens } = await engine.generate(tokensOf(depth), options).result;
    const prefill = promptTokens - reusedTokens >= told ? timings.promptTokensPerSecond : 0;
    const speeds = [timings.tokensPerSecond];
    while (speeds.length < runs) {
      speeds.push((await engine.generate(tokensOf(depth), options).result).timings.tokensPerSecond);
    }
    onRow({ depth, prefill, decode: speeds.sort((a, b) => a - b)[runs >> 1]! });
  }
}
