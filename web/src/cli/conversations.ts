// The engine as the server has it: conversations keep their caches, though no request says which one it is of.
import type { Engine, GenerateOptions } from '../api/engine.js';
import { Generation } from '../api/generation.js';
import { ChatCompletions } from '../api/openai/chat.js';
import { Completions } from '../api/openai/completions.js';
import type { TextEngine } from '../api/openai/engine.js';
import type { Session } from '../api/session.js';
import { PronkError } from '../runtime/errors.js';
import { commonLength } from '../runtime/sessions.js';
import type { GenerationResult, Piece } from '../runtime/types.js';

type Served = TextEngine & Pick<Engine, 'session' | 'embeddings' | 'plan'>;

interface Place {
  in: Pick<TextEngine, 'generate'>;
  prompt: ArrayLike<number>; // the last
  running: number;
  used: number; // by the count of requests
}

/** Tokens that a template may end a prompt with and not write again before the next question. */
const promptEnd = 4;

/**
 * A prompt that goes on from what a session was asked last is answered there, any other in a new session, or in the one
 * that was not used for longest once there are `most`, or memory has no room for more.
 */
export class Conversations implements TextEngine {
  readonly chat = { completions: new ChatCompletions(this) };
  readonly completions = new Completions(this);
  private readonly places: Place[];
  private opened = 1;
  private requests = 0;

  constructor(
    private readonly engine: Served,
    private readonly most: number,
  ) {
    this.places = [{ in: engine, prompt: [], running: 0, used: 0 }];
  }

  get embeddings(): Engine['embeddings'] {
    return this.engine.embeddings;
  }
  get plan(): Engine['plan'] {
    return this.engine.plan;
  }
  get chatTemplate(): string | null {
    return this.engine.chatTemplate;
  }
  get specialTokens(): { bos: string; eos: string } {
    return this.engine.specialTokens;
  }
  embed: TextEngine['embed'] = (texts, options) => this.engine.embed(texts, options);
  tokenize: TextEngine['tokenize'] = (text, options) => this.engine.tokenize(text, options);
  detokenize: TextEngine['detokenize'] = (ids) => this.engine.detokenize(ids);
  render: TextEngine['render'] = (template, values) => this.engine.render(template, values);

  generate(prompt: string | ArrayLike<number>, { signal, ...options }: GenerateOptions = {}): Generation {
    return new Generation(async (onPieces, stop) => {
      const tokens = typeof prompt === 'string' ? await this.tokenize(prompt) : prompt;
      const place = await this.placeFor(tokens);
      try {
        return await relay(place.in.generate(tokens, options), onPieces, stop);
      } finally {
        place.running--;
      }
    }, signal);
  }

  /** With its request counted: nobody else comes there meanwhile. */
  private async placeFor(prompt: ArrayLike<number>): Promise<Place> {
    const goesOn = this.goingOn(prompt);
    if (goesOn) return this.enter(goesOn, prompt);
    const session = await this.session();
    if (!session) return this.enter(this.leastRecent(), prompt);
    const place = { in: session, prompt, running: 0, used: 0 };
    this.places.push(place);
    return this.enter(place, prompt);
  }

  private enter(place: Place, prompt: ArrayLike<number>): Place {
    place.running++;
    place.prompt = prompt;
    place.used = ++this.requests;
    return place;
  }

  private goingOn(prompt: ArrayLike<number>): Place | null {
    let best: Place | null = null;
    let most = -1;
    for (const place of this.places) {
      const common = commonLength(place.prompt, prompt);
      const goesOn = place.running === 0 && common + promptEnd >= place.prompt.length;
      if (goesOn && common > most) [best, most] = [place, common];
    }
    return best;
  }

  /** null: there is no room for another. */
  private async session(): Promise<Session | null> {
    if (this.opened >= this.most) return null;
    this.opened++;
    try {
      return await this.engine.session();
    } catch (error) {
      this.opened--;
      if (error instanceof PronkError && error.code === 'out-of-memory') return null;
      throw error;
    }
  }

  private leastRecent(): Place {
    const idle = this.places.filter(({ running }) => running === 0);
    const among = idle.length > 0 ? idle : this.places;
    return among.reduce((oldest, place) => (place.used < oldest.used ? place : oldest));
  }
}

async function relay(
  from: Generation,
  onPieces: (pieces: Piece[]) => void,
  stop: AbortSignal,
): Promise<GenerationResult> {
  const onStop = (): void => from.cancel();
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  try {
    for await (const piece of from) onPieces([piece]);
  } finally {
    stop.removeEventListener('abort', onStop);
  }
  return from.result;
}
