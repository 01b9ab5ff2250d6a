import { describe, expect, it } from 'vitest';
import { PronkError } from '../../src/runtime/errors.js';
import type { Piece } from '../../src/runtime/types.js';
import { EngineClient } from '../../src/worker/client.js';
import type { FromWorker, ToWorker } from '../../src/worker/protocol.js';

class FakeWorker {
  sent: ToWorker[] = [];
  closed = 0;
  answer!: (message: FromWorker) => void;
  crash!: (why: string) => void;
  readonly client = new EngineClient((onMessage, onCrash) => {
    this.answer = onMessage;
    this.crash = onCrash;
    return { send: (message) => this.sent.push(message), close: () => this.closed++ };
  });
}

describe('EngineClient', () => {
  it('matches answers to calls, in any order', async () => {
    const worker = new FakeWorker();
    const first = worker.client.call('tokenize', { text: 'a', options: {} });
    const second = worker.client.call('detokenize', { ids: [1] });
    expect(worker.sent.map((message) => message.id)).toEqual([1, 2]);
    worker.answer({ type: 'value', id: 2, value: 'text' });
    worker.answer({ type: 'value', id: 1, value: [7] });
    worker.answer({ type: 'value', id: 9, value: [8] }); // of no call
    expect(await first).toEqual([7]);
    expect(await second).toBe('text');
  });

  it('passes what comes before the answer, and turns errors into PronkError', async () => {
    const worker = new FakeWorker();
    const seen: Piece[] = [];
    const call = worker.client.call(
      'generate',
      { prompt: 'a', options: {}, session: 0 },
      { onPieces: (p) => seen.push(...p) },
    );
    worker.answer({ type: 'pieces', id: 1, pieces: [{ text: 'x', token: 1 }] });
    worker.answer({ type: 'error', id: 1, code: 'device-lost', message: 'gone' });
    await expect(call).rejects.toBeInstanceOf(PronkError);
    await expect(call).rejects.toMatchObject({ code: 'device-lost', message: 'gone' });
    expect(seen).toEqual([{ text: 'x', token: 1 }]);
  });

  it('sends an abort once and leaves the signal alone afterwards', async () => {
    const worker = new FakeWorker();
    const abort = new AbortController();
    const call = worker.client.call('stats', null, { signal: abort.signal });
    abort.abort();
    expect(worker.sent.at(-1)).toEqual({ type: 'abort', id: 1 });
    worker.answer({ type: 'error', id: 1, code: 'aborted', message: 'aborted' });
    await expect(call).rejects.toMatchObject({ code: 'aborted' });
    await expect(worker.client.call('stats', null, { signal: abort.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(worker.sent).toHaveLength(2);
  });

  it('fails pending and later calls when the worker crashes', async () => {
    const worker = new FakeWorker();
    const calls = [worker.client.call('stats', null), worker.client.call('tokenize', { text: '', options: {} })];
    worker.crash('out of memory');
    worker.crash('again');
    for (const call of [...calls, worker.client.call('stats', null)]) {
      await expect(call).rejects.toMatchObject({
        code: 'worker-crashed',
        message: expect.stringContaining('out of memory'),
      });
    }
    expect(worker.closed).toBe(1);
    expect(worker.sent).toHaveLength(2);
  });
});
