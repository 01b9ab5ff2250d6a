// One model in one WASM module on one device: reads its header, plans, streams its weights, and drives generations. When
// the device is lost it is of no use any more; EngineKeeper then makes another. Nothing here knows messages.
import {
  Context,
  DeviceKind,
  EmbeddingState,
  Finish,
  KvKind,
  Next,
  PoolingKind,
  SavedState,
  SpecialToken,
  State,
  TokenizeFlags,
} from './abi.js';
import { messageOf, moduleError, PronkError, type PronkErrorCode, throwIfAborted, toPronkError } from './errors.js';
import { type GpuGrant, GpuHost, requestDevice } from './gpu.js';
import type { Vocabulary } from './grammar/grammars.js';
import { planFromJson, statsFromJson } from './json.js';
import { finishTuning, type TextStore, takeTuning } from './kernel-tuning.js';
import { LoadRate } from './load-rate.js';
import { ModelFiles } from './model-files.js';
import type { EngineModule } from './module.js';
import { pause } from './pause.js';
import type { Platform } from './platform.js';
import { Run } from './run.js';
import type { SavedSession } from './saved-session.js';
import { countThreads, ThreadTeam } from './threads.js';
import { tick } from './tick.js';
import type {
  Device,
  EmbeddingOptions,
  EngineInfo,
  EngineOptions,
  FileSpec,
  FinishReason,
  GenerationResult,
  KvType,
  LoadProgress,
  Logprobs,
  Piece,
  Plan,
  SamplingOptions,
  Stats,
  TokenizeOptions,
  TokenMask,
  TuneResult,
} from './types.js';
import { checkEmbedding, checkIds, checkSampling } from './validate.js';

const deviceKinds: Record<Device, DeviceKind> = { cpu: DeviceKind.cpu, webgpu: DeviceKind.gpu };
const kvKinds: Record<KvType, KvKind> = { f16: KvKind.f16, f32: KvKind.f32, q8_0: KvKind.q8, q4_0: KvKind.q4 };
const poolingKinds: Record<Required<EmbeddingOptions>['pooling'], PoolingKind> = {
  auto: PoolingKind.auto,
  mean: PoolingKind.mean,
  cls: PoolingKind.cls,
  last: PoolingKind.last,
  none: PoolingKind.none,
};
const finishReasons: Record<Finish, FinishReason> = {
  [Finish.length]: 'length',
  [Finish.endToken]: 'stop',
  [Finish.cancelled]: 'cancelled',
  [Finish.contextFull]: 'context-full',
};

// What a lost device may make of whatever runs.
const brokenByLoss = new Set<PronkErrorCode>(['internal', 'device-lost', 'out-of-memory', 'unsupported', 'wrong-gpu']);

const smallWeights = 32 << 20; // bytes that are streamed while kernels compile
const commitsInFlight = 4; // parts written to the GPU before its queue is waited for
const putPart = 1 << 20; // bytes of a saved session that go to the module at a time
const eventPatience = 2000; // milliseconds after which the module is asked again, should an event have been missed
const lossPatience = 300; // milliseconds for a lost device to be told, after something failed that it may have caused

type OnProgress = (progress: LoadProgress) => void;

export interface HostOptions extends EngineOptions {
  /** The device 'webgpu' is not to be one that runs on the CPU; 'auto' never takes such a one. */
  hardwareOnly?: boolean;
}

export class EngineHost {
  private files: ModelFiles | null = null;
  protected gpu: GPU | null = null; // only held: Node's must outlive its devices
  private grant: GpuGrant | null = null;
  private gpuHost: GpuHost | null = null;
  private module!: EngineModule;
  private threads = 0; // of the CPU, in the plan; 0 where the GPU does the work
  private team: ThreadTeam | null = null;
  private device: Device = 'cpu';
  private deviceNote: string | undefined;
  private options: HostOptions = {};
  private plan: Plan | null = null;
  private failure: PronkError | null = null;
  private closed = false;

  private driving = false; // a loop of load() or generate() pumps; else events do
  private unseenEvents = 0;
  private wake: (() => void) | null = null;

  /** What the sources had to say once they were read; see ByteSource.note. */
  get sourceNotes(): readonly string[] {
    return this.files?.notes ?? [];
  }

  private texts: TextStore | null = null;

  /** Called when the CPU has fewer threads than it was to have, with the reason. */
  onFewerThreads: (why: string) => void = () => {};

  /** Called when the device is lost while nothing runs that would fail of it. */
  onIdleLoss: () => void = () => {};

  private constructor(private readonly platform: Platform) {}

  /** Opens a model as far as its header. deviceNote: why the plan is to be on the CPU. */
  static async open(
    platform: Platform,
    files: FileSpec[],
    options: HostOptions,
    onProgress: OnProgress = () => {},
    signal?: AbortSignal,
    deviceNote?: string,
    tunes = false,
  ): Promise<EngineHost> {
    const host = new EngineHost(platform);
    try {
      host.options = options;
      host.deviceNote = deviceNote;
      await host.chooseDevice(signal);
      await host.instantiate(tunes);
      if (host.gpuHost) host.texts = await platform.texts(options.cache ?? true);
      host.gpuHost?.attach(host.module.gpuSide, () => host.onGpuEvent());
      if (host.gpuHost) await takeTuning(host.module, host.texts); // plans depend on it
      throwIfAborted(signal);
      onProgress({ phase: 'header', loadedBytes: 0, totalBytes: 0 });
      host.files = new ModelFiles(host.module, platform, files, options.wasmUrl);
      await host.files.readHeaders(signal);
      return host;
    } catch (error) {
      await host.close();
      throw toPronkError(error);
    }
  }

  /** Measures the kernels that a model would use on the GPU, for `seconds` at most, and keeps what is fastest. */
  static async tune(
    platform: Platform,
    files: FileSpec[],
    options: HostOptions,
    { seconds, missing }: { seconds: number; missing: boolean },
    signal?: AbortSignal,
  ): Promise<TuneResult> {
    const onGpu: HostOptions = { ...options, device: 'webgpu' };
    const host = await EngineHost.open(platform, files, onGpu, undefined, signal, undefined, true);
    try {
      const [, context, keys, values, budget, embeddings] = host.loadArguments();
      host.module.call((m) => m.pronk_tune(context, keys, values, budget, embeddings, seconds, Number(missing)));
      const next = async (): Promise<void> => {
        if (host.failure) throw host.failure;
        await host.untilEvent(true, signal);
        host.unseenEvents = 0;
      };
      return await finishTuning(host.module, host.texts, next, signal);
    } catch (error) {
      throw toPronkError(error);
    } finally {
      await host.close();
    }
  }

  /** What loading would cost. That it does not fit is no error. */
  makePlan(): Plan {
    return this.plans().plan;
  }

  // refusal: the error that loading it would be.
  private plans(): { plan: Plan; refusal: PronkError | null } {
    this.module.call((m) => m.pronk_plan(...this.loadArguments()));
    const json = this.module.resultObject();
    const plan = planFromJson(json, {
      device: this.device,
      threads: this.threads,
      chat: this.chatTemplate() !== '',
      memoryBudget: this.options.memoryBudget ?? null,
    });
    if (this.deviceNote) plan.deviceNote = this.deviceNote;
    return { plan, refusal: plan.fits ? null : moduleError(Number(json['refusal_code']), plan.refusal) };
  }

  /**
   * Streams the weights to their place; the engine can generate() afterwards. firstChunk: tokens of the first submission
   * of a prompt to the GPU, 0 for the module's own choice.
   */
  async load(onProgress: OnProgress = () => {}, signal?: AbortSignal, firstChunk = 0): Promise<EngineInfo> {
    const { plan, refusal } = this.plans();
    if (refusal) throw refusal;
    this.driving = true;
    try {
      this.module.call((m) => m.pronk_load(...this.loadArguments(), firstChunk));
      this.startThreads();
      await this.compileKernels(plan.fileBytes, onProgress, signal);
      await this.streamWeights(plan.fileBytes, onProgress, signal);
      onProgress({ phase: 'prepare', loadedBytes: plan.fileBytes, totalBytes: plan.fileBytes });
      let state = this.pump();
      while (state === State.loading) {
        throwIfAborted(signal);
        await this.untilEvent(this.device === 'webgpu');
        state = this.pump();
      }
      throwIfAborted(signal);
    } finally {
      this.driving = false;
      await this.files?.close();
    }
    this.plan = plan;
    return {
      plan,
      chatTemplate: this.chatTemplate() || null,
      bosToken: this.special(SpecialToken.bos),
      eosToken: this.special(SpecialToken.eos),
    };
  }

  vocabulary(): Vocabulary {
    this.module.call((m) => m.pronk_vocabulary());
    const bytes = this.module.result();
    const view = new DataView(bytes.buffer);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + view.getUint32(at, true);
      pieces.push(bytes.subarray(at + 4, end));
      at = end;
    }
    this.module.call((m) => m.pronk_end_tokens());
    return { pieces, ends: this.module.resultIds() };
  }

  tokenize(text: string, options: TokenizeOptions = {}): number[] {
    const bos = { auto: 0, on: TokenizeFlags.bos, off: TokenizeFlags.noBos }[options.bos ?? 'auto'];
    const flags = bos | (options.special ? TokenizeFlags.special : 0);
    this.module.withText(text, (at, length) => {
      this.module.call((m) => m.pronk_tokenize(at, length, flags));
    });
    return this.module.resultIds();
  }

  detokenize(ids: readonly number[]): string {
    checkIds(ids);
    this.module.withIds(ids, (at) => this.module.call((m) => m.pronk_detokenize(at, ids.length)));
    return this.module.resultText();
  }

  /** A generation that can be given to generate(), here or on another host of the same model. */
  prepare(prompt: string | readonly number[], options: SamplingOptions, mask: TokenMask | null = null): Run {
    if (!this.plan) throw new PronkError('internal', 'prepare() before load()');
    const ids = typeof prompt === 'string' ? this.tokenize(prompt) : prompt;
    const sampling = checkSampling(options, this.plan.contextLength, this.plan.vocabSize);
    checkIds(ids);
    if (ids.length === 0) throw new PronkError('bad-argument', 'the prompt has no tokens');
    return new Run(ids, sampling, mask);
  }

  /**
   * One at a time. Goes on after the tokens that the run has given already. onPieces gets what each turn of the loop
   * brought. Aborting ends it with 'cancelled'.
   */
  async generate(run: Run, onPieces: (pieces: Piece[]) => void, signal?: AbortSignal): Promise<GenerationResult> {
    if (this.failure) throw this.failure;
    if (this.driving) throw new PronkError('internal', 'generate() while another one runs');
    if (signal?.aborted) return run.result('cancelled'); // before its turn came
    this.driving = true;
    try {
      this.begin(run);
      const finishReason = await this.drive(run, onPieces, signal);
      return run.result(finishReason);
    } finally {
      this.driving = false;
    }
  }

  /** The embedding of one text, given as tokens. One at a time, and not while a generation runs. */
  async embed(ids: readonly number[], options: EmbeddingOptions, signal?: AbortSignal): Promise<Float32Array> {
    if (this.failure) throw this.failure;
    if (this.driving) throw new PronkError('internal', 'embed() while something else runs');
    throwIfAborted(signal);
    const { pooling, normalize } = checkEmbedding(options);
    checkIds(ids);
    if (ids.length === 0) throw new PronkError('bad-argument', 'the text has no tokens');
    this.driving = true;
    try {
      this.module.withIds(ids, (at) =>
        this.module.call((m) => m.pronk_embed(at, ids.length, poolingKinds[pooling], normalize ? 1 : 0)),
      );
      return await this.driveEmbedding(signal);
    } finally {
      this.driving = false;
    }
  }

  /** What is computed of the conversation. Not while something runs. */
  async save(): Promise<SavedSession> {
    if (this.failure) throw this.failure;
    if (this.driving) throw new PronkError('internal', 'save() while something else runs');
    this.driving = true;
    try {
      this.module.call((m) => m.pronk_save());
      const saved: SavedSession = { head: this.module.result(), body: [] };
      for (;;) {
        const state = this.pump();
        const what = this.module.call((m) => m.pronk_saved());
        if (what === SavedState.all) return saved;
        if (what === SavedState.bytes) saved.body.push(this.module.result());
        else await this.untilEvent(state === State.busy && this.device === 'webgpu');
      }
    } finally {
      this.driving = false;
    }
  }

  /** Goes on from what was saved; one that is not for this model is an error and changes nothing. */
  async restore({ head, body }: SavedSession): Promise<void> {
    if (this.failure) throw this.failure;
    let missing = this.module.withBytes(head, (at) => this.module.call((m) => m.pronk_restore(at, head.length)));
    const length = body.reduce((sum, part) => sum + part.length, 0);
    if (length !== missing) throw new PronkError('damaged', `the saved session has ${length} bytes, not ${missing}`);
    for (const part of body) {
      for (let begin = 0; begin < part.length; begin += putPart) {
        const bytes = part.subarray(begin, begin + putPart);
        this.module.withBytes(bytes, (at) => this.module.call((m) => m.pronk_put_saved(at, bytes.length)));
        missing -= bytes.length;
        if (missing % (commitsInFlight * putPart) === 0) await this.queueDone();
      }
    }
  }

  /** What `error` came of: the loss of the device, or `error` itself. A loss may be told later than what it breaks. */
  async causeOf(error: unknown): Promise<PronkError> {
    const own = toPronkError(error);
    if (this.device === 'cpu' || this.closed || !brokenByLoss.has(own.code)) return own;
    await Promise.race([this.grant?.device.lost, pause(lossPatience)]);
    return this.loss ?? own;
  }

  /** The loss of the device, once it is known. */
  get loss(): PronkError | null {
    return this.device === 'webgpu' && this.failure?.code === 'device-lost' ? this.failure : null;
  }

  /** Tokens of a prompt that go to the GPU in one submission, as fast as it has shown to be; 0 when not known. */
  get prefillChunk(): number {
    try {
      return this.module.run((m) => m.pronk_prefill_chunk());
    } catch {
      return 0; // it trapped
    }
  }

  stats(): Omit<Stats, 'recoveries' | 'sessionBytes'> {
    this.module.call((m) => m.pronk_stats());
    const threads = this.device === 'cpu' ? 1 + (this.team?.serving ?? 0) : 0;
    const { pipelines, milliseconds } = this.gpuHost?.compiled ?? { pipelines: 0, milliseconds: 0 };
    return statsFromJson(this.module.resultObject(), { threads, pipelines, compileMs: milliseconds });
  }

  /** Frees everything. The host is of no use afterwards; a running generation fails. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.failure ??= new PronkError('unloaded', 'the engine was unloaded');
    this.wake?.();
    try {
      this.module?.run((m) => m.pronk_unload());
    } catch {
      // it trapped before; its memory goes with it
    }
    await this.team?.close();
    if (this.gpuHost) this.gpuHost.destroy();
    else this.grant?.device.destroy();
    this.gpuHost = null;
    this.grant = null;
    await this.files?.close();
  }

  // --- opening -------------------------------------------------------------------------------------------------------

  private async chooseDevice(signal?: AbortSignal): Promise<void> {
    const choice = this.options.device ?? 'auto';
    if (choice === 'cpu') return;
    const found = await this.findGpu(choice === 'auto' || this.options.hardwareOnly === true);
    if (typeof found !== 'string') {
      this.grant = found; // even when aborted meanwhile: close() has to find it
      this.gpuHost = new GpuHost(found.device, found.info, found.integerDotProduct);
      this.device = 'webgpu';
      void found.device.lost.then((lost) => this.onLost(lost));
      throwIfAborted(signal);
    } else if (choice === 'webgpu') {
      throw new PronkError('no-webgpu', found);
    } else {
      this.deviceNote = found;
    }
  }

  private async findGpu(hardwareOnly: boolean): Promise<GpuGrant | string> {
    const gpu = await this.platform.gpu();
    if (typeof gpu === 'string') return gpu;
    this.gpu = gpu;
    try {
      return await requestDevice(gpu, { hardwareOnly });
    } catch (error) {
      return `the WebGPU adapter gives no device: ${messageOf(error)}`;
    }
  }

  private async instantiate(tunes: boolean): Promise<void> {
    const wanted = this.device === 'cpu' ? countThreads(this.options.threads, this.platform.threads()) : 0;
    this.module = await this.platform.instantiate(this.gpuHost, tunes ? 'tune' : wanted, this.options.wasmUrl);
    this.threads = this.module.shared ? wanted : Math.min(wanted, 1);
  }

  private startThreads(): void {
    const asked = this.options.threads ?? 1;
    if (this.threads === 0) return;
    if (this.threads < asked) {
      const why = this.platform.threads().missing || 'there is no shared memory';
      this.onFewerThreads(`the CPU has 1 thread instead of ${asked}: ${why}`);
    }
    this.team = new ThreadTeam(this.module, this.threads, this.platform.startThread, (why) =>
      this.onFewerThreads(`the CPU has a thread less: ${why}`),
    );
  }

  private loadArguments(): [number, number, number, number, number, number, number] {
    const { contextSize, kv = 'f16', memoryBudget, embeddings } = this.options;
    const context = contextSize === 'auto' ? Context.largest : (contextSize ?? Context.default);
    const { keys, values } = typeof kv === 'string' ? { keys: kv, values: kv } : kv;
    const [budget, embedding] = [memoryBudget ?? 0, embeddings ? 1 : 0];
    return [deviceKinds[this.device], context, kvKinds[keys], kvKinds[values], budget, embedding, this.threads || 1];
  }

  private chatTemplate(): string {
    this.module.run((m) => m.pronk_chat_template());
    return this.module.resultText();
  }

  private special(which: SpecialToken): string {
    this.module.run((m) => m.pronk_special(which));
    return this.module.resultText();
  }

  // --- loading -------------------------------------------------------------------------------------------------------

  /** Before large weights: the compiler's memory on top of theirs would be the peak of all. */
  private async compileKernels(totalBytes: number, onProgress: OnProgress, signal?: AbortSignal): Promise<void> {
    if (totalBytes <= smallWeights) return;
    if (this.gpuHost?.compiling) onProgress({ phase: 'prepare', loadedBytes: 0, totalBytes });
    while (this.gpuHost?.compiling) {
      throwIfAborted(signal);
      this.pump();
      await this.untilEvent(true, signal);
    }
  }

  private async streamWeights(totalBytes: number, onProgress: OnProgress, signal?: AbortSignal): Promise<void> {
    let loadedBytes = 0;
    let commits = 0;
    const rate = new LoadRate(totalBytes);
    const files = this.files!;
    const check = (): void => {
      if (this.failure) throw this.failure;
    };
    for (;;) {
      throwIfAborted(signal);
      check();
      const position = this.module.run((m) => m.pronk_position());
      if (position < 0) return;
      const count = await files.fillSpace(position, check, signal);
      this.module.call((m) => m.pronk_commit(count));
      loadedBytes = Math.min(totalBytes, loadedBytes + count);
      const speed = rate.add(loadedBytes, performance.now());
      onProgress({ phase: 'weights', loadedBytes, totalBytes, ...speed, fromCache: files.fromCache });
      if (++commits % commitsInFlight === 0) await this.queueDone();
      if (this.unseenEvents > 0) this.pump();
    }
  }

  private async queueDone(): Promise<void> {
    const device = this.grant?.device;
    if (device) await Promise.race([device.queue.onSubmittedWorkDone(), device.lost]);
  }

  // --- the loop ------------------------------------------------------------------------------------------------------

  private begin(run: Run): void {
    const { ids, sampling, given } = run;
    this.adjust(run);
    const { maxTokens, temperature, topK, topP, minP, seed } = sampling;
    const [low, high] = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
    const left = maxTokens - given.length;
    const ignoreEnd = sampling.ignoreEos ? 1 : 0;
    const all = given.length > 0 ? [...ids, ...given] : ids;
    this.module.withIds(all, (at) =>
      this.module.call((m) =>
        m.pronk_generate(at, all.length, left, temperature, topK, topP, minP, low, high, ignoreEnd, given.length),
      ),
    );
  }

  private adjust({ sampling, mask }: Run): void {
    const { repetitionPenalty, frequencyPenalty, presencePenalty, logitBias, topLogprobs } = sampling;
    const biases = new DataView(new ArrayBuffer(8 * logitBias.length));
    logitBias.forEach(([token, bias], i) => {
      biases.setUint32(8 * i, token, true);
      biases.setFloat32(8 * i + 4, bias, true);
    });
    const [pairs, masked, top] = [logitBias.length, mask ? 1 : 0, topLogprobs ?? -1];
    this.module.withBytes(new Uint8Array(biases.buffer), (at) =>
      this.module.run((m) =>
        m.pronk_adjust(repetitionPenalty, frequencyPenalty, presencePenalty, at, pairs, masked, top),
      ),
    );
  }

  /** Says which tokens may come next. */
  private giveMask(mask: TokenMask): void {
    const words = mask.next() ?? new Uint32Array();
    this.module.withIds(words, (at) => this.module.call((m) => m.pronk_mask(at, words.length)));
  }

  private async drive(run: Run, onPieces: (pieces: Piece[]) => void, signal?: AbortSignal): Promise<FinishReason> {
    let cancelled = false;
    const failures: unknown[] = []; // of the mask
    const guarded = (use: () => void): void => {
      try {
        use();
      } catch (error) {
        failures.push(error);
      }
    };
    for (;;) {
      if ((signal?.aborted || failures.length > 0) && !cancelled) {
        cancelled = true;
        this.module.run((m) => m.pronk_cancel());
      }
      let state = this.pump();
      if (run.finishReason === null) {
        const pieces: Piece[] = [];
        const reason = this.drain(pieces, run.sampling.topLogprobs !== null);
        guarded(() => run.give(pieces));
        if (pieces.length > 0 && !cancelled) onPieces(pieces);
        if (reason !== null) {
          run.finishReason = reason;
          run.reusedTokens = this.stats().reusedTokens;
          state = this.pump(); // the end is out: the module may be ready now
        }
      }
      if (run.finishReason === null && state === State.mask && run.mask && !cancelled) {
        const { mask } = run;
        guarded(() => this.giveMask(mask));
        continue;
      }
      if (run.finishReason !== null && state !== State.busy && state !== State.again) {
        if (failures.length > 0) throw failures[0];
        return run.finishReason;
      }
      if (run.finishReason === null && state === State.ready) {
        throw new PronkError('internal', 'the generation ended without a reason');
      }
      await this.untilEvent(state === State.busy && this.device === 'webgpu', cancelled ? undefined : signal);
    }
  }

  private async driveEmbedding(signal?: AbortSignal): Promise<Float32Array> {
    for (;;) {
      if (signal?.aborted) {
        this.module.run((m) => m.pronk_cancel());
        throwIfAborted(signal);
      }
      const state = this.pump();
      if (this.module.call((m) => m.pronk_embedding()) === EmbeddingState.done) return this.module.resultFloats();
      if (state === State.ready) throw new PronkError('internal', 'the embedding ended without a vector');
      await this.untilEvent(state === State.busy && this.device === 'webgpu', signal);
    }
  }

  /** Of the token that the module gave last. */
  private logprobs(): Logprobs {
    this.module.call((m) => m.pronk_logprobs());
    const [own, ...top] = this.module.resultPairs().map(([token, logprob]) => ({ token, logprob }));
    return { logprob: own!.logprob, top };
  }

  private drain(pieces: Piece[], withLogprobs: boolean): FinishReason | null {
    for (;;) {
      const what = this.module.call((m) => m.pronk_next());
      if (what === Next.none) return null;
      const [number, text] = this.module.resultNumberAndText();
      if (what === Next.token) {
        pieces.push({ text, token: number, ...(withLogprobs && { logprobs: this.logprobs() }) });
        continue;
      }
      if (text) pieces.push({ text, token: null });
      return finishReasons[number as Finish] ?? 'length';
    }
  }

  private pump(): State {
    if (this.failure) throw this.failure;
    this.unseenEvents = 0;
    const state = this.module.run((m) => m.pronk_pump());
    if (state === State.failed) {
      throw (this.failure = this.module.error());
    }
    return state as State;
  }

  private onGpuEvent(): void {
    this.unseenEvents++;
    this.wake?.();
    if (this.driving || this.unseenEvents > 1 || !this.plan) return;
    queueMicrotask(() => {
      if (this.driving || this.closed || this.failure) return;
      try {
        this.pump();
      } catch (error) {
        this.failure = toPronkError(error);
      }
    });
  }

  private onLost(lost: GPUDeviceLostInfo): void {
    if (this.closed) return;
    const message = `the GPU device was lost${lost.message ? `: ${lost.message}` : ''}`;
    this.failure = new PronkError('device-lost', message);
    this.wake?.();
    if (this.plan && !this.driving) this.onIdleLoss();
  }

  /** Waits for an event of the GPU; without one to come it only lets other tasks, such as a cancellation, run. */
  private async untilEvent(comes: boolean, signal?: AbortSignal): Promise<void> {
    if (!comes) return tick();
    if (this.unseenEvents > 0 || this.failure || signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, eventPatience);
      signal?.addEventListener('abort', done, { once: true });
      this.wake = done;
    });
  }
}
