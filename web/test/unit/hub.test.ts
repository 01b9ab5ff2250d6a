import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chooseGguf } from '../../src/runtime/gguf-choice.js';
import { hubFile, hubHash, hubUrl, isFixed } from '../../src/runtime/hub.js';
import { LoadRate } from '../../src/runtime/load-rate.js';

describe('hf: names', () => {
  it('become addresses', () => {
    const base = 'https://huggingface.co/owner/repo/resolve';
    expect(hubUrl('hf:owner/repo/m.gguf')).toBe(`${base}/main/m.gguf`);
    expect(hubUrl('HF://owner/repo/m.gguf')).toBe(`${base}/main/m.gguf`);
    expect(hubUrl('hf:owner/repo@v1.0/a b/m#1.gguf'.replace('#', '%23'))).toBe(`${base}/v1.0/a%20b/m%25231.gguf`);
    expect(hubUrl('hf:owner/repo/m.gguf', 'http://mirror/x/')).toBe('http://mirror/x/owner/repo/resolve/main/m.gguf');
    expect(hubUrl('https://h/m.gguf')).toBeNull();
    expect(hubUrl('hf:owner/repo')).toBe(`${base}/main/`);
    expect(hubUrl('hf:owner/repo@v1/')).toBe(`${base}/v1/`);
    expect(hubUrl('hf:owner/repo/sub/')).toBe(`${base}/main/sub/`);
    expect(hubUrl('hf:owner/repo@v1:Q4_K_M')).toBe(`${base}/v1/#Q4_K_M`);
    for (const bad of [
      'hf:',
      'hf:owner',
      'hf:owner/',
      'hf:ow ner/repo/m',
      'hf:owner/repo@/m',
      'hf:owner/repo?x',
      'hf:owner/repo:',
    ]) {
      expect(() => hubUrl(bad)).toThrowError(expect.objectContaining({ code: 'bad-argument' }));
    }
  });

  it('are known by their addresses', () => {
    const file = { endpoint: 'https://huggingface.co', repo: 'o/r', revision: 'main', path: 'a b/m.gguf' };
    expect(hubFile('https://huggingface.co/o/r/resolve/main/a%20b/m.gguf?download=true')).toEqual(file);
    expect(hubFile('https://example.org/o/r/resolve/main/m.gguf')).toBeNull();
    expect(hubFile('http://mirror/x/o/r/resolve/main/m.gguf', true)).toMatchObject({
      endpoint: 'http://mirror/x',
      path: 'm.gguf',
    });
    expect(hubFile('https://huggingface.co/o/r/blob/main/m.gguf')).toBeNull();
    expect(hubFile('https://huggingface.co/o/r/resolve/main/100%.gguf')).toEqual({ ...file, path: '100%.gguf' });
    expect(isFixed(hubFile(hubUrl(`hf:o/r@${'0a'.repeat(20)}/m.gguf`)!))).toBe(true);
    expect(isFixed(hubFile(hubUrl('hf:o/r/m.gguf')!))).toBe(false);
    expect(isFixed(null)).toBe(false);
  });

  it('have a hash where the list of files is as expected', async () => {
    const file = hubFile('https://huggingface.co/o/r/resolve/main/s/m.gguf')!;
    const ask = (answer: unknown, status = 200): Promise<string | null> =>
      hubHash(file, async (url) => {
        expect(url).toBe('https://huggingface.co/api/models/o/r/tree/main/s');
        return new Response(JSON.stringify(answer), { status });
      });
    const oid = 'AB'.repeat(32);
    expect(await ask([{ path: 'other' }, { path: 's/m.gguf', lfs: { oid } }])).toBe(oid.toLowerCase());
    expect(await ask([{ path: 's/m.gguf', lfs: { oid: `sha256:${oid}` } }])).toBe(oid.toLowerCase());
    for (const odd of [null, {}, [], [null], [{ path: 's/m.gguf' }], [{ path: 's/m.gguf', lfs: { oid: 7 } }]]) {
      expect(await ask(odd)).toBeNull();
    }
    expect(await ask([{ path: 's/m.gguf', lfs: { oid } }], 500)).toBeNull();
  });
});

describe('a repository of GGUF files', () => {
  const rules = new URL('../../../tests/cli/gguf_choices.json', import.meta.url);
  interface Rule {
    paths: string[];
    type?: string;
    choice?: string;
    error?: string;
  }
  it.each(JSON.parse(readFileSync(rules, 'utf8')) as Rule[])('%j', ({ paths, type = '', choice, error }) => {
    const choose = (): string => chooseGguf('o/r', paths, type);
    if (error) expect(choose).toThrowError(expect.objectContaining({ message: error }));
    else expect(choose()).toBe(choice);
  });
});

describe('LoadRate', () => {
  it('tells of the last seconds', () => {
    const rate = new LoadRate(10_000, 1000);
    expect(rate.add(0, 0)).toEqual({ bytesPerSecond: 0, secondsLeft: null });
    expect(rate.add(500, 500)).toEqual({ bytesPerSecond: 1000, secondsLeft: 9.5 });
    for (let at = 600; at <= 5000; at += 100) rate.add(500 + (at - 500) / 10, at);
    expect(rate.add(1000, 5500).bytesPerSecond).toBeCloseTo(100, -1);
    const still = new LoadRate(10, 1000);
    for (let at = 0; at < 10_000; at += 1) still.add(5, at);
    expect(still.add(5, 10_000)).toEqual({ bytesPerSecond: 0, secondsLeft: null });
  });
});
