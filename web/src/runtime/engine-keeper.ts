// A model that outlives its device. When the GPU is lost there is a new device, a new module and the model again from its
// source; a generation that ran goes on after the tokens that it had given.
import { EngineHost } from './engine-host.js';
import { PronkError, throwIfAborted } from './errors.js';
import { Grammars } from './grammar/grammars.js';
import { pause } from './pause.js';
import type { Platform } from './platform.js';
import { RecoveryLimit } from './recovery-limit.js';
import type { Run } from './run.js';
import { bytesOfSession, sessionOfBytes } from './saved-session.js';
import { Sessions } from './sessions.js';
import type {
  Constraint,
  EmbeddingOptions,
  EngineInfo,
  EngineOptions,
  FileSpec,
  GenerationResult,
  LoadProgress,
  Notice,
  Piece,
  SamplingOptions,
  Stats,
  TokenizeOptions,
} from './types.js';

const deviceDelays = [250, 1000, 4000]; // milliseconds: a driver that was reset takes a while to give a device again

type OnProgress = (progress: LoadProgress) => void;

/** info: of the model as it is loaded from now on, where that changed. */
export type OnNotice = (notice: Notice, info: EngineInfo | null) => void;

export class EngineKeeper {
  private host: EngineHost | null = null;
  private coming: Promise<EngineHost> | null = null; // a recovery under way
  private info!: EngineInfo;
  private deviceNote: string | undefined;
  private firstChunk = 0; // tokens of the first submission of a prompt, once a device was lost; else the module's choice
  private readonly limit = new RecoveryLimit();
  private readonly end = new AbortController();
  private readonly sessions = new Sessions();
  private readonly grammars = new Grammars(() => this.host!.vocabulary());

  constructor(
    private readonly platform: Platform,
    private readonly files: FileSpec[],
    private options: EngineOptions,
    private readonly onNotice: OnNotice = () => {},
    private readonly delays: readonly number[] = deviceDelays,
  ) {}

  /** To be called once, before all else. A device that is lost meanwhile is replaced too. */
  async load(onProgress: OnProgress = () => {}, signal?: AbortSignal): Promise<EngineInfo> {
    await this.start(null, onProgress, signal);
    const { plan } = this.info;
    // The context stays what it was found to be, wherever the model is loaded again.
    this.options = { ...this.options, contextSize: plan.contextLength };
    if (plan.deviceNote) this.notify('running-on-cpu', `${plan.deviceNote}; running on the CPU`);
    return this.info;
  }

  async tokenize(text: string, options?: TokenizeOptions): Promise<number[]> {
    return (await this.ready()).tokenize(text, options);
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    return (await this.ready()).detokenize(ids);
  }

  async stats(): Promise<Omit<Stats, 'recoveries'>> {
    return { ...(await this.ready()).stats(), sessionBytes: this.sessions.keptBytes };
  }

  /** As EngineHost.generate(), over as many devices as it takes. */
  async generate(
    prompt: string | readonly number[],
    options: SamplingOptions,
    onPieces: (pieces: Piece[]) => void,
    signal?: AbortSignal,
    constraint?: Constraint,
    session = 0,
  ): Promise<GenerationResult> {
    const host = await this.ready();
    if (signal?.aborted) return host.prepare(prompt, options).result('cancelled');
    const mask = constraint ? await this.grammars.mask(constraint) : null;
    try {
      return await this.finish(host, host.prepare(prompt, options, mask), onPieces, session, signal);
    } finally {
      mask?.close();
    }
  }

  private async finish(
    first: EngineHost,
    run: Run,
    onPieces: (pieces: Piece[]) => void,
    session: number,
    signal?: AbortSignal,
  ): Promise<GenerationResult> {
    let host = first;
    for (;;) {
      try {
        await this.sessions.enter(host, session, run.ids);
        const result = await host.generate(run, onPieces, signal);
        this.sessions.leave([...run.ids, ...run.given]);
        return result;
      } catch (error) {
        const cause = await host.causeOf(error);
        if (!host.loss) throw cause;
      }
      const next = await this.goOn(run, signal);
      if (!next) return run.result(run.finishReason ?? 'cancelled');
      host = next;
    }
  }

  /** A vector for each text, over as many devices as it takes; of text or tokens. */
  async embed(
    texts: readonly (string | readonly number[])[],
    options: EmbeddingOptions,
    signal?: AbortSignal,
  ): Promise<Float32Array[]> {
    const vectors: Float32Array[] = [];
    while (vectors.length < texts.length) {
      const host = await orAborted(this.ready(), signal);
      throwIfAborted(signal);
      const text = texts[vectors.length]!;
      try {
        vectors.push(await host!.embed(typeof text === 'string' ? host!.tokenize(text) : text, options, signal));
      } catch (error) {
        const cause = await host!.causeOf(error);
        if (!host!.loss) throw texts.length === 1 ? cause : ofText(vectors.length, cause);
      }
    }
    return vectors;
  }

  /** What a session has computed, as bytes for openSession(). */
  async saveSession(session: number): Promise<Uint8Array<ArrayBuffer>> {
    const saved = await this.sessions.save(await this.ready(), session);
    if (!saved) throw new PronkError('bad-argument', 'there is nothing to save: the session has computed nothing yet');
    return bytesOfSession(saved);
  }

  /** A session that goes on from what was saved. */
  async openSession(session: number, from: Uint8Array): Promise<void> {
    await this.sessions.open(await this.ready(), session, sessionOfBytes(from));
  }

  closeSession(session: number): void {
    this.sessions.close(session);
  }

  /** Frees everything; a recovery under way ends. */
  async close(): Promise<void> {
    this.end.abort();
    await this.coming?.catch(() => {});
    await this.host?.close();
  }

  // --- coming back ---------------------------------------------------------------------------------------------------

  /** The host that a lost run goes on with; null: it has ended already, or was cancelled. */
  private async goOn(run: Run, signal?: AbortSignal): Promise<EngineHost | null> {
    const ready = this.ready();
    if (run.finishReason === null && !signal?.aborted) return orAborted(ready, signal);
    ready.catch(() => {}); // the next call tells
    return null;
  }

  private async ready(): Promise<EngineHost> {
    if (this.coming) return this.coming;
    if (this.end.signal.aborted || !this.host) throw unloaded();
    const { loss } = this.host;
    if (!loss) return this.host;
    this.coming = this.recover(this.host, loss).finally(() => (this.coming = null));
    return this.coming;
  }

  private async recover(lost: EngineHost, cause: PronkError): Promise<EngineHost> {
    this.firstChunk = lost.prefillChunk >> 1; // what ran too long for the driver is not to be tried again
    await lost.close(); // never two models in memory
    try {
      return await this.start(cause, () => {}, this.end.signal);
    } catch (error) {
      throw this.end.signal.aborted ? unloaded() : error;
    }
  }

  /** Loads, and loads again when the device is lost meanwhile. cause: the loss that makes it necessary. */
  private async start(cause: PronkError | null, onProgress: OnProgress, signal?: AbortSignal): Promise<EngineHost> {
    let lost = cause;
    for (let begun: PronkError | null = null; ; ) {
      if (lost !== begun) this.beginRecovery((begun = lost)!);
      const host = await this.open(lost, onProgress, signal);
      host.onFewerThreads = (why) => this.notify('fewer-threads', why);
      try {
        this.info = await host.load(onProgress, signal, this.firstChunk);
        for (const note of host.sourceNotes) this.notify('not-cached', note);
      } catch (error) {
        const why = await host.causeOf(error);
        await host.close();
        if (!host.loss && !this.avoidGpu(why)) throw why;
        lost = host.loss ?? lost;
        continue;
      }
      this.host = host;
      host.onIdleLoss = () => void this.ready().catch(() => {}); // what goes wrong the next call meets again
      if (lost) this.endRecovery();
      return host;
    }
  }

  private beginRecovery(cause: PronkError): void {
    if (!this.limit.take()) {
      const text = `${cause.message}, after ${this.limit.most} recoveries within a minute`;
      throw new PronkError('device-lost', text, { cause });
    }
    this.notify('device-lost', `${cause.message}; loading the model again`);
  }

  private endRecovery(): void {
    const { device, deviceNote } = this.info.plan;
    if (device === 'cpu') this.notify('running-on-cpu', `${deviceNote}; running on the CPU`);
    this.notify('device-lost-recovered', 'the model is loaded again');
  }

  private async open(lost: PronkError | null, onProgress: OnProgress, signal?: AbortSignal): Promise<EngineHost> {
    const choice = this.options.device ?? 'auto';
    const open = (device = choice): Promise<EngineHost> => {
      const options = { ...this.options, device, hardwareOnly: choice === 'auto' };
      return EngineHost.open(this.platform, this.files, options, onProgress, signal, this.deviceNote);
    };
    if (!lost || choice === 'cpu') return open();
    for (let attempt = 0; ; attempt++) {
      try {
        return await open('webgpu');
      } catch (error) {
        if (!(error instanceof PronkError) || error.code !== 'no-webgpu') throw error;
        const delay = this.delays[attempt];
        if (delay !== undefined) {
          await pause(delay, signal);
          continue;
        }
        const why = new PronkError('device-lost', `${lost.message}, and there is no other: ${error.message}`);
        if (choice !== 'auto') throw why;
        this.useCpu(why.message);
        return open('cpu');
      }
    }
  }

  /** Whether there is something else to try than the GPU that fails so. */
  private avoidGpu(why: PronkError): boolean {
    if (why.code !== 'wrong-gpu' || (this.options.device ?? 'auto') !== 'auto') return false;
    this.useCpu(why.message);
    return true;
  }

  private useCpu(note: string): void {
    this.deviceNote = note;
    this.options = { ...this.options, device: 'cpu' };
  }

  private notify(kind: Notice['kind'], message: string): void {
    this.onNotice({ kind, message }, this.info ?? null);
  }
}

function unloaded(): PronkError {
  return new PronkError('unloaded', 'the engine was unloaded');
}

/** What went wrong with one of several texts; `index` counts from 0. */
function ofText(index: number, error: PronkError): PronkError {
  if (error.code !== 'bad-argument') return error;
  return new PronkError(error.code, `text ${index}: ${error.message}`, { cause: error });
}

/** As `promise`; null as soon as the signal aborts. */
async function orAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T | null> {
  if (!signal) return promise;
  let onAbort = (): void => {};
  const abort = new Promise<null>((resolve) => (onAbort = () => resolve(null)));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, abort]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
