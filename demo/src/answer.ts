// One answer of the model, from the package's chat API: as parts of a message, at most once a frame.
import type { ChatChunkChoice, ChatRequest, FinishReason, Session, TokenLogprob, ToolCall, Usage } from 'pronk';
import { PronkError } from 'pronk';
import type { Figures, Message } from './message';

export type Parts = Pick<Message, 'text' | 'reasoning' | 'calls' | 'probabilities' | 'times'>;

/** Streams the answer; `show` gets what there is of it, `tokens` how many tokens that are about. */
export async function streamAnswer(
  { chat, plan }: Pick<Session, 'chat' | 'plan'>,
  request: ChatRequest,
  signal: AbortSignal,
  show: (parts: Parts, tokens: number) => void,
): Promise<Figures> {
  const gathered = new Gathered(performance.now());
  const calm = atMostEvery(40, () => show(gathered.parts(), gathered.chunks));
  try {
    const options = { stream: true as const, stream_options: { include_usage: true } };
    for await (const { choices, usage } of await chat.completions.create({ ...request, ...options }, { signal })) {
      if (usage) gathered.usage = usage;
      if (choices[0] && gathered.add(choices[0])) calm.ask();
    }
  } catch (error) {
    if (!(error instanceof PronkError && error.code === 'aborted')) throw error;
    gathered.cancelled = true;
  } finally {
    calm.now();
  }
  return gathered.figures(plan.contextLength);
}

const timed = 256; // tokens whose time is kept

class Gathered {
  usage: Usage | null = null;
  cancelled = false;
  chunks = 0; // with something in them: about as many as tokens
  private text = '';
  private reasoning = '';
  private readonly calls: ToolCall[] = [];
  private readonly tokens: TokenLogprob[] = [];
  private finish: FinishReason = 'stop';
  private first = 0; // when the first came
  private last = 0;
  private readonly times: number[] = [];

  constructor(private readonly start: number) {}

  /** Whether there is something new to show. */
  add({ delta, logprobs, finish_reason: finish }: ChatChunkChoice): boolean {
    this.text += delta.content ?? '';
    this.reasoning += delta.reasoning_content ?? '';
    for (const { index, id = '', function: made } of delta.tool_calls ?? []) {
      const call = (this.calls[index] ??= { id, type: 'function', function: { name: '', arguments: '' } });
      call.function.name += made?.name ?? '';
      call.function.arguments += made?.arguments ?? '';
    }
    this.tokens.push(...(logprobs?.content ?? []));
    if (finish) this.finish = finish === 'length' ? 'length' : 'stop';
    if (!delta.content && !delta.reasoning_content && !delta.tool_calls && !logprobs) return false;
    this.chunks++;
    this.last = performance.now();
    this.first ||= this.last;
    if (this.times.length < timed) this.times.push(Math.round(10 * (this.last - this.start)) / 10);
    return true;
  }

  parts(): Parts {
    return {
      text: this.text,
      ...(this.reasoning !== '' && { reasoning: this.reasoning }),
      ...(this.calls.length > 0 && { calls: structuredClone(this.calls) }),
      ...(this.tokens.length > 0 && { probabilities: [...this.tokens] }),
      times: [...this.times],
    };
  }

  figures(contextLength: number): Figures {
    const tokens = this.usage?.completion_tokens ?? this.chunks;
    const context = this.usage?.total_tokens ?? 0;
    const seconds = (this.last - this.first) / 1000;
    const full = this.finish === 'length' && context >= contextLength - 1;
    return {
      tokens,
      context,
      firstTokenMs: this.first === 0 ? 0 : this.first - this.start,
      tokensPerSecond: tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : 0,
      prompt: this.usage?.prompt_tokens ?? 0,
      reused: this.usage?.prompt_tokens_details.cached_tokens ?? 0,
      finish: this.cancelled ? 'cancelled' : full ? 'context-full' : this.finish,
      left: 0,
    };
  }
}

/** Calls `work` soon after it was asked to, not more often than that: a fast model writes more often than a screen draws. */
export function atMostEvery(milliseconds: number, work: () => void): { ask(): void; now(): void } {
  let timer: number | undefined;
  const now = (): void => {
    clearTimeout(timer);
    timer = undefined;
    work();
  };
  return {
    ask() {
      timer ??= window.setTimeout(now, milliseconds);
    },
    now,
  };
}
