import { PronkError, throwIfAborted } from '../runtime/errors.js';
import type {
  Constraint,
  Device,
  EmbeddingOptions,
  EngineOptions,
  FileSpec,
  LoadProgress,
  Notice,
  Plan,
  SamplingOptions,
  Stats,
  TokenizeOptions,
  TuneResult,
} from '../runtime/types.js';
import {
  checkConstraint,
  checkEngineOptions,
  checkNames,
  checkSeconds,
  checkText,
  textsOf,
  tokensOf,
} from '../runtime/validate.js';
import type { Connect } from '../worker/client.js';
import type { GivenWorker } from '../worker/connect-worker.js';
import { ModelWorker } from '../worker/model-worker.js';
import { Generation } from './generation.js';
import type { EnginePlace } from './in-thread.js';
import { ChatCompletions } from './openai/chat.js';
import { Completions } from './openai/completions.js';
import { Embeddings } from './openai/embeddings.js';
import { Session } from './session.js';
import type { SourceOptions } from './sources.js';
import { type StartTemplateWorker, TemplateRenderer } from './template/renderer.js';

/** How and where a model is loaded. */
export interface LoadOptions extends EngineOptions, SourceOptions {
  /**
   * In a browser: a worker of the caller's whose script imports 'pronk/worker', or what makes one, which can then make
   * another after a crash; or `inThread` of 'pronk/in-thread'. The engine ends a worker with unload().
   */
  worker?: GivenWorker | EnginePlace;
  /** Follows the loading. */
  onProgress?: (progress: LoadProgress) => void;
  /** What the engine deals with by itself, for as long as it lives; default: a warning where the platform shows them. */
  onNotice?: (notice: Notice) => void;
  signal?: AbortSignal;
}

/** How an answer is made. */
export interface GenerateOptions extends SamplingOptions {
  /** What the answer must be. */
  constraint?: Constraint;
  signal?: AbortSignal;
}

/** How texts become vectors. */
export interface EmbedOptions extends EmbeddingOptions {
  signal?: AbortSignal;
}

/** Which kernels are measured, and how long. */
export interface TuneOptions {
  /** At most; what matters most for decode comes first. Default 60. */
  seconds?: number;
  /** Only those without a choice from before, so that measuring can go on where it was stopped. Default false. */
  missing?: boolean;
  signal?: AbortSignal;
}

/** How a session begins. */
export interface SessionOptions {
  /** What session.save() gave, of the same model with the same types of KV cache. */
  from?: Uint8Array;
}

/** What differs between the places where the package runs. */
export interface Home {
  connect: Connect;
  /** Bytes that a model of the context size 'auto' may take where the caller names no budget. */
  defaultBudget(): number;
  warn(message: string): void;
  startTemplateWorker: StartTemplateWorker;
}

const loadNames: Record<keyof LoadOptions, true> = {
  contextSize: true,
  memoryBudget: true,
  device: true,
  kv: true,
  embeddings: true,
  threads: true,
  wasmUrl: true,
  worker: true,
  cache: true,
  hubEndpoint: true,
  onProgress: true,
  onNotice: true,
  signal: true,
};
const generateNames: Record<keyof GenerateOptions, true> = {
  maxTokens: true,
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  seed: true,
  ignoreEos: true,
  repetitionPenalty: true,
  frequencyPenalty: true,
  presencePenalty: true,
  logitBias: true,
  topLogprobs: true,
  constraint: true,
  signal: true,
};
const embedNames: Record<keyof EmbedOptions, true> = { pooling: true, normalize: true, signal: true };
const tuneNames: Record<keyof TuneOptions, true> = { seconds: true, missing: true, signal: true };
const sessionNames: Record<keyof SessionOptions, true> = { from: true };
const tokenizeNames: Record<keyof TokenizeOptions, true> = { special: true, bos: true };

/** Before all else that load() and plan() do with their options. */
export function checkLoadOptions(options: LoadOptions): void {
  checkNames('options', options, loadNames);
}

function engineOptions(home: Home, given: EngineOptions): EngineOptions {
  const { contextSize, device, kv, threads, memoryBudget, embeddings, cache, wasmUrl } = given;
  const budget = memoryBudget ?? (contextSize === 'auto' ? home.defaultBudget() : undefined);
  const options = { contextSize, device, kv, threads, memoryBudget: budget, embeddings, cache, wasmUrl };
  checkEngineOptions(options);
  return options;
}

/** A loaded model. It comes back by itself from a lost GPU, and with the next call from a crash of its worker. */
export class Engine {
  /** The shapes of the OpenAI API: requests, answers and streams as its client types them. */
  readonly chat = { completions: new ChatCompletions(this) };
  readonly completions = new Completions(this);
  readonly embeddings = new Embeddings(this);
  private readonly templates: TemplateRenderer;
  private readonly sessions = new Set<number>();
  private lastSession = 0;

  protected constructor(
    private readonly worker: ModelWorker,
    private readonly home: Pick<Home, 'startTemplateWorker' | 'defaultBudget'>,
  ) {
    this.templates = new TemplateRenderer(home.startTemplateWorker);
  }

  protected static async loadFiles(home: Home, files: FileSpec[], options: LoadOptions): Promise<ModelWorker> {
    const { onProgress, onNotice = ({ message }) => home.warn(message), signal } = options;
    const worker = new ModelWorker(home.connect, files, engineOptions(home, options), onNotice);
    await worker.load({ onProgress, signal });
    if (signal?.aborted) await worker.unload(); // too late for the worker: nobody would own the model
    throwIfAborted(signal);
    return worker;
  }

  protected static async planFiles(home: Home, files: FileSpec[], options: LoadOptions): Promise<Plan> {
    const { onProgress, signal } = options;
    return new ModelWorker(home.connect, files, engineOptions(home, options)).plan({ onProgress, signal });
  }

  /**
   * Measures the kernels that this model uses on this GPU, beside the loaded model and in a worker of its own, and keeps
   * the fastest for the next load; for other models, too, where shapes are the same. It takes the GPU's time: call it when
   * nobody waits for an answer. Each kernel computes right before it is measured. What was measured is kept when it is aborted. Errors: 'no-webgpu'; 'aborted'.
   */
  async tune(options: TuneOptions = {}): Promise<TuneResult> {
    checkNames('options', options, tuneNames);
    const { seconds = 60, missing = false, signal } = options;
    checkSeconds(seconds);
    return this.worker.tune({ seconds, missing }, { signal });
  }

  /** What the model costs: bytes by kind, as allocated. */
  get plan(): Plan {
    return this.worker.info.plan;
  }

  get device(): Device {
    return this.plan.device;
  }

  /** The model's chat template (Jinja); null when it has none. */
  get chatTemplate(): string | null {
    return this.worker.info.chatTemplate;
  }

  /** Spellings of the begin and end tokens, as chat templates want them; empty where the model has none. */
  get specialTokens(): { bos: string; eos: string } {
    const { bosToken, eosToken } = this.worker.info;
    return { bos: bosToken, eos: eosToken };
  }

  /**
   * Continues a prompt: text, or tokens such as those of tokenize(). Calls run one after another. What an earlier call
   * left in the KV cache is used again where the prompts begin alike.
   */
  generate(prompt: string | ArrayLike<number>, options: GenerateOptions = {}): Generation {
    return this.generateIn(0, prompt, options);
  }

  /** @internal */
  generateIn(session: number, prompt: string | ArrayLike<number>, options: GenerateOptions = {}): Generation {
    // What is wrong with the arguments is told as all that goes wrong is: by the generation.
    return new Generation(async (onPieces, stop) => {
      checkNames('options', options, generateNames);
      const { signal: _, constraint, ...sampling } = options;
      if (constraint !== undefined) checkConstraint(constraint);
      const given = typeof prompt === 'string' ? prompt : tokensOf('the prompt', prompt);
      const request = { prompt: given, options: sampling, constraint, session };
      return this.worker.call('generate', request, { onPieces, signal: stop });
    }, options?.signal);
  }

  /**
   * The embedding of each text (or of its tokens), in order; with the pooling 'none' a row for each token, one after the
   * other. Wants a model that makes embeddings, or a text model loaded with the option `embeddings`. Runs in turn with
   * generate().
   */
  async embed(texts: readonly (string | ArrayLike<number>)[], options: EmbedOptions = {}): Promise<Float32Array[]> {
    checkNames('options', options, embedNames);
    const { signal, ...rest } = options;
    return this.worker.call('embed', { texts: textsOf('the texts', texts), options: rest }, { signal });
  }

  /**
   * Another conversation with this model, with a cache of its own, empty or as it was saved. It takes at most
   * plan.memory.kvCache of the host's memory; when that is over the budget, or over what the machine is taken to have
   * where none was given, it is an error 'out-of-memory'.
   */
  async session(options: SessionOptions = {}): Promise<Session> {
    checkNames('options', options, sessionNames);
    const { from } = options;
    if (from !== undefined && !(from instanceof Uint8Array)) {
      throw new PronkError('bad-argument', `from is ${String(from)}, not a Uint8Array`);
    }
    this.checkRoom(this.sessions.size + 1);
    const id = ++this.lastSession;
    this.sessions.add(id);
    try {
      if (from) await this.worker.call('openSession', { session: id, from });
    } catch (error) {
      this.sessions.delete(id);
      throw error;
    }
    return new Session(this, id);
  }

  /** With so many sessions; one more is in memory while two change places. */
  private checkRoom(sessions: number): void {
    const { memory, memoryBudget } = this.plan;
    const room = memoryBudget === null ? this.home.defaultBudget() : memoryBudget - memory.total;
    const needed = (sessions + 1) * memory.kvCache;
    if (needed <= room) return;
    const [each, all, left] = [memory.kvCache, needed, Math.max(0, room)].map(
      (bytes) => `${(bytes / 1e6).toFixed(1)} MB`,
    );
    throw new PronkError(
      'out-of-memory',
      `a session may take ${each}: ${sessions} of them, and one that is changing places, ${all}, more than the ${left} ` +
        "that are left beside the engine; close one, or load with a smaller contextSize, a smaller type of 'kv' or a " +
        'larger memoryBudget',
    );
  }

  /** @internal */
  saveSession(session: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.worker.call('saveSession', { session });
  }

  /** @internal */
  async closeSession(session: number): Promise<void> {
    await this.worker.call('closeSession', { session });
    this.sessions.delete(session);
  }

  /** The tokens of a text. */
  async tokenize(text: string, options: TokenizeOptions = {}): Promise<number[]> {
    checkText('the text', text);
    checkNames('options', options, tokenizeNames);
    return this.worker.call('tokenize', { text, options });
  }

  /** The text of tokens. */
  async detokenize(ids: ArrayLike<number>): Promise<string> {
    return this.worker.call('detokenize', { ids: tokensOf('the list', ids) });
  }

  /** The text that a chat template (Jinja) makes of the values, in a worker with a time limit. */
  render(template: string, values: Record<string, unknown>): Promise<string> {
    return this.templates.render(template, values);
  }

  /** Of the last run, and of the engine as a whole. */
  async stats(): Promise<Stats> {
    const stats = await this.worker.call('stats', null);
    return { ...stats, recoveries: this.worker.recoveries };
  }

  /** Frees the model and its worker; calls that wait, and all later ones, fail with 'unloaded'. */
  unload(): Promise<void> {
    this.templates.close();
    return this.worker.unload();
  }
}
