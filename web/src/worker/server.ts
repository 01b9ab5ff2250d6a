// The worker's side of the protocol, over one EngineKeeper.
import { EngineHost } from '../runtime/engine-host.js';
import { EngineKeeper } from '../runtime/engine-keeper.js';
import { PronkError, throwIfAborted, toPronkError } from '../runtime/errors.js';
import type { Platform } from '../runtime/platform.js';
import type { LoadProgress } from '../runtime/types.js';
import type { CallName, Calls, FromWorker, ToWorker } from './protocol.js';
import { Turns } from './turns.js';

const progressInterval = 50; // milliseconds between two messages of one phase

type Handler<Name extends CallName> = (
  given: Calls[Name]['arguments'],
  id: number,
  signal: AbortSignal,
) => Promise<Calls[Name]['value']>;

export class EngineServer {
  private keeper: EngineKeeper | null = null;
  private readonly running = new Map<number, AbortController>();
  private readonly turns = new Turns();
  private shownPhase = '';
  private shownAt = 0;

  constructor(
    private readonly platform: Platform,
    private readonly send: (message: FromWorker) => void,
  ) {}

  async receive(message: ToWorker): Promise<void> {
    const { id } = message;
    if (message.type === 'abort') {
      this.running.get(id)?.abort();
      return;
    }
    const abort = new AbortController();
    this.running.set(id, abort);
    try {
      const handler = this.handlers[message.name] as Handler<CallName>;
      this.send({ type: 'value', id, value: await handler(message.arguments, id, abort.signal) });
    } catch (error) {
      const { code, message: text } = toPronkError(error);
      this.send({ type: 'error', id, code, message: text });
    } finally {
      this.running.delete(id);
    }
  }

  private readonly handlers: { [Name in CallName]: Handler<Name> } = {
    plan: async ({ files, options }, id, signal) => {
      const host = await EngineHost.open(this.platform, files, options, this.progress(id), signal);
      try {
        return host.makePlan();
      } finally {
        await host.close();
      }
    },
    tune: ({ files, options, seconds, missing }, _id, signal) =>
      EngineHost.tune(this.platform, files, options, { seconds, missing }, signal),
    load: async ({ files, options }, id, signal) => {
      if (this.keeper) throw new PronkError('internal', 'this worker has a model already');
      const keeper = new EngineKeeper(this.platform, files, options, (notice, info) => {
        this.send({ type: 'notice', notice, info });
      });
      try {
        const info = await keeper.load(this.progress(id), signal);
        this.keeper = keeper;
        return info;
      } catch (error) {
        await keeper.close();
        throw error;
      }
    },
    tokenize: async ({ text, options }) => this.engine().tokenize(text, options),
    detokenize: async ({ ids }) => this.engine().detokenize(ids),
    generate: ({ prompt, options, constraint, session }, id, signal) =>
      this.turns.run(session, signal, () =>
        this.engine().generate(
          prompt,
          options,
          (pieces) => this.send({ type: 'pieces', id, pieces }),
          signal,
          constraint,
          session,
        ),
      ),
    embed: ({ texts, options }, _id, signal) =>
      this.turns.run(0, signal, () => this.engine().embed(texts, options, signal)),
    openSession: ({ session, from }, _id, signal) =>
      this.turns.run(session, signal, async () => {
        throwIfAborted(signal);
        await this.engine().openSession(session, from);
        return null;
      }),
    saveSession: ({ session }, _id, signal) =>
      this.turns.run(session, signal, async () => {
        throwIfAborted(signal);
        return this.engine().saveSession(session);
      }),
    closeSession: ({ session }, _id, signal) =>
      this.turns.run(session, signal, async () => {
        this.engine().closeSession(session);
        return null;
      }),
    stats: async () => this.engine().stats(),
    unload: async () => {
      for (const abort of this.running.values()) abort.abort();
      await this.keeper?.close();
      return null;
    },
  };

  private engine(): EngineKeeper {
    if (!this.keeper) throw new PronkError('internal', 'no model is loaded');
    return this.keeper;
  }

  private progress(id: number): (progress: LoadProgress) => void {
    return (progress) => {
      const now = performance.now();
      const ended = progress.loadedBytes === progress.totalBytes;
      if (progress.phase === this.shownPhase && !ended && now - this.shownAt < progressInterval) return;
      this.shownPhase = progress.phase;
      this.shownAt = now;
      this.send({ type: 'progress', id, progress });
    };
  }
}
