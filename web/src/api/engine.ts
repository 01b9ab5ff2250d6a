import { PronkError } from '../runtime/errors.js';
import type {
  Device,
  EngineInfo,
  EngineOptions,
  FileSpec,
  LoadProgress,
  Plan,
  SamplingOptions,
  Stats,
  TokenizeOptions,
} from '../runtime/types.js';
import { checkEngineOptions } from '../runtime/validate.js';
import { EngineClient, type Connect } from '../worker/client.js';
import { Generation } from './generation.js';

export interface LoadOptions extends EngineOptions {
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

export interface GenerateOptions extends SamplingOptions {
  signal?: AbortSignal;
}

function engineOptions({ contextSize, device, kv }: EngineOptions): EngineOptions {
  const options = { contextSize, device, kv };
  checkEngineOptions(options);
  return options;
}

/** A loaded model. */
export class Engine {
  protected constructor(
    private readonly client: EngineClient,
    private readonly info: EngineInfo,
  ) {}

  protected static async loadFiles(
    connect: Connect,
    files: FileSpec[],
    options: LoadOptions,
  ): Promise<[EngineClient, EngineInfo]> {
    const wanted = engineOptions(options);
    const client = new EngineClient(connect);
    try {
      const { onProgress, signal } = options;
      return [client, await client.call('load', { files, options: wanted }, { onProgress, signal })];
    } catch (error) {
      client.close();
      throw error;
    }
  }

  protected static async planFiles(connect: Connect, files: FileSpec[], options: LoadOptions): Promise<Plan> {
    const wanted = engineOptions(options);
    const client = new EngineClient(connect);
    try {
      const { onProgress, signal } = options;
      return await client.call('plan', { files, options: wanted }, { onProgress, signal });
    } finally {
      client.close();
    }
  }

  /** What the model costs: bytes by kind, as allocated. */
  get plan(): Plan {
    return this.info.plan;
  }

  get device(): Device {
    return this.info.plan.device;
  }

  /** The model's chat template (Jinja); null when it has none. */
  get chatTemplate(): string | null {
    return this.info.chatTemplate;
  }

  /** Spellings of the begin and end tokens, as chat templates want them; empty where the model has none. */
  get specialTokens(): { bos: string; eos: string } {
    return { bos: this.info.bosToken, eos: this.info.eosToken };
  }

  /**
   * Continues a prompt: text, or tokens such as those of tokenize(). Calls run one after another. What an earlier call
   * left in the KV cache is used again where the prompts begin alike.
   */
  generate(prompt: string | ArrayLike<number>, options: GenerateOptions = {}): Generation {
    const { signal, ...sampling } = options;
    const given = typeof prompt === 'string' ? prompt : Array.from(prompt);
    return new Generation(
      (onPieces, stop) => this.client.call('generate', { prompt: given, options: sampling }, { onPieces, signal: stop }),
      signal,
    );
  }

  tokenize(text: string, options: TokenizeOptions = {}): Promise<number[]> {
    return this.client.call('tokenize', { text, options });
  }

  detokenize(ids: ArrayLike<number>): Promise<string> {
    return this.client.call('detokenize', { ids: Array.from(ids) });
  }

  stats(): Promise<Stats> {
    return this.client.call('stats', null);
  }

  /** Frees the model and its worker; calls that wait fail with 'unloaded'. */
  async unload(): Promise<void> {
    try {
      await this.client.call('unload', null);
    } catch (error) {
      const gone = error instanceof PronkError && (error.code === 'unloaded' || error.code === 'worker-crashed');
      if (!gone) throw error;
    } finally {
      this.client.close();
    }
  }
}
