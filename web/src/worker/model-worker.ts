// A model in its worker, seen from the API: started once, and again by the first call after a crash.
import { PronkError, toPronkError } from '../runtime/errors.js';
import { RecoveryLimit } from '../runtime/recovery-limit.js';
import type { EngineInfo, EngineOptions, FileSpec, Notice, Plan, TuneResult } from '../runtime/types.js';
import { type CallListeners, type Connect, EngineClient } from './client.js';
import type { CallName, Calls } from './protocol.js';

const abortPatience = 2000; // milliseconds that an aborted worker has to put its things away

export class ModelWorker {
  /** Of the model as it is loaded now. */
  info!: EngineInfo;
  /** Times that it came back, from a lost device or a crash. */
  recoveries = 0;
  private client: EngineClient | null = null;
  private starting: Promise<EngineClient> | null = null;
  private unloaded = false;
  private trouble = ''; // why the last worker is gone
  private readonly limit = new RecoveryLimit();

  constructor(
    private readonly connect: Connect,
    private readonly files: FileSpec[],
    private options: EngineOptions,
    private readonly onNotice: (notice: Notice) => void = () => {},
  ) {}

  /** What load() would cost, by a worker of its own. */
  async plan(listeners: CallListeners): Promise<Plan> {
    const client = new EngineClient(this.connect);
    try {
      return await this.callWithModel(client, 'plan', listeners);
    } finally {
      client.close();
    }
  }

  /** Measures its kernels, in a worker of its own. */
  async tune(how: { seconds: number; missing: boolean }, listeners: CallListeners): Promise<TuneResult> {
    const client = new EngineClient(this.connect);
    try {
      return await this.callWithModel(client, 'tune', listeners, how);
    } finally {
      client.close();
    }
  }

  /** To be called once, before call(). */
  async load(listeners: CallListeners): Promise<void> {
    await this.start(listeners);
    // The context stays what it was found to be.
    this.options = { ...this.options, contextSize: this.info.plan.contextLength };
  }

  /** A call to the worker; starts it again where it has crashed. */
  async call<Name extends CallName>(
    name: Name,
    given: Calls[Name]['arguments'],
    listeners: CallListeners = {},
  ): Promise<Calls[Name]['value']> {
    return (await this.ready()).call(name, given, listeners);
  }

  /** Frees the model and the worker, for good. */
  async unload(): Promise<void> {
    this.unloaded = true;
    try {
      await this.client?.call('unload', null);
    } catch (error) {
      const gone = error instanceof PronkError && (error.code === 'unloaded' || error.code === 'worker-crashed');
      if (!gone) throw error;
    } finally {
      this.client?.close();
    }
  }

  private async ready(): Promise<EngineClient> {
    if (this.unloaded || !this.client) throw new PronkError('unloaded', 'the engine was unloaded');
    if (!this.client.ended) return this.starting ?? this.client;
    this.starting ??= this.restart(this.client.ended).finally(() => (this.starting = null));
    return this.starting;
  }

  private async restart(end: PronkError): Promise<EngineClient> {
    if (end.code === 'worker-crashed') this.trouble = end.message;
    if (!this.limit.take()) {
      throw new PronkError('worker-crashed', `${this.trouble}, after ${this.limit.most} restarts within a minute`);
    }
    const client = await this.start({});
    this.recoveries++;
    this.onNotice({ kind: 'worker-restarted', message: `${this.trouble}; it was started again and the model loaded` });
    return client;
  }

  private async start(listeners: CallListeners): Promise<EngineClient> {
    const client = new EngineClient(this.connect, (notice, info) => {
      if (info) this.info = info;
      if (notice.kind === 'device-lost-recovered') this.recoveries++;
      this.onNotice(notice);
    });
    this.client = client;
    try {
      this.info = await this.callWithModel(client, 'load', listeners);
      return client;
    } catch (error) {
      this.trouble = toPronkError(error).message;
      client.close();
      throw error;
    }
  }

  private async callWithModel<Name extends 'plan' | 'load' | 'tune'>(
    client: EngineClient,
    name: Name,
    listeners: CallListeners,
    more = {},
  ): Promise<Calls[Name]['value']> {
    const { signal } = listeners;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onAbort = (): void => {
      timer = setTimeout(() => client.close(new PronkError('aborted', 'aborted')), abortPatience);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await client.call(
        name,
        { files: this.files, options: this.options, ...more } as Calls[Name]['arguments'],
        listeners,
      );
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}
