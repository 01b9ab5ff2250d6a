// Which session answers a prompt of the server.
import { describe, expect, it } from 'vitest';
import { Conversations } from '../../src/cli/conversations.js';
import { PronkError } from '../../src/runtime/errors.js';
import { FakeTextEngine } from '../support/fake-text-engine.js';

const numbers = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

class Place extends FakeTextEngine {
  override detokenize = async (): Promise<string> => ''; // prompts are made of numbers alone
}

/** Conversations over an engine and as many sessions as there is room for, and what each was asked, the engine's own first. */
function served(most: number, room = most) {
  const places = [new Place()];
  const session = async () => {
    if (places.length > room) throw new PronkError('out-of-memory', 'no room');
    return places[places.push(new Place()) - 1];
  };
  const engine = Object.assign(places[0]!, { session, embeddings: null });
  const conversations = new Conversations(engine as never, most);
  const ask = async (...prompts: number[][]) => Promise.all(prompts.map((ids) => conversations.generate(ids).result));
  const asked = () => places.map((place) => place.asked.map(({ prompt }) => prompt[0]));
  return { conversations, places, ask, asked };
}

describe('conversations of the server', () => {
  const [a, b, c] = [numbers(100, 20), numbers(200, 20), numbers(300, 20)];

  it('go on where they were, also after another end of the prompt or the same one again', async () => {
    const { ask, asked } = served(3);
    for (const prompt of [a, b, [...a, ...numbers(1, 9)], [...b.slice(0, -4), 1, 2], a.slice(0, 15), b])
      await ask(prompt);
    expect(asked()).toEqual([[100, 100], [200, 200, 200], [100]]);
  });

  it('that are too many take the place of the one not used for longest', async () => {
    const { ask, asked } = served(2);
    for (const prompt of [a, b, a, c, a, b]) await ask(prompt);
    expect(asked()).toEqual([
      [100, 100, 100],
      [200, 300, 200],
    ]);
  });

  it('are as many as memory has room for', async () => {
    const { ask, asked } = served(8, 1);
    for (const prompt of [a, b, c, b]) await ask(prompt);
    expect(asked()).toEqual([
      [100, 300],
      [200, 200],
    ]);
  });

  it('of several clients at once are apart, also where they begin alike', async () => {
    const { ask, asked } = served(3);
    await ask(a, a, b);
    expect(asked()).toEqual([[100], [100], [200]]);
    await ask(b, b, b, c); // more than there are sessions
    expect(asked().flat().length).toBe(7);
  });

  it('end as any generation does', async () => {
    const { conversations, places } = served(2);
    const abort = new AbortController();
    const aborted = conversations.generate(a, { signal: abort.signal });
    abort.abort();
    await expect(aborted.result).rejects.toMatchObject({ code: 'aborted' });
    const left = conversations.generate(a);
    for await (const _ of left) break;
    expect((await left.result).finishReason).toBe('cancelled');
    expect(places[0]!.asked.map(({ stopped }) => stopped)).toEqual([true, true]);
    expect((await conversations.generate(a).result).generatedTokens).toBe(3);
    expect(places.length).toBe(1);
  });
});
