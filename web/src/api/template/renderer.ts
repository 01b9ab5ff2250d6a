// Renders chat templates in a worker, within a time limit.
import { PronkError } from '../../runtime/errors.js';
import type { Rendered, RenderRequest } from './jinja.js';

/** A worker with renderJinja(): answers each message with one. */
export interface TemplateWorker {
  post(request: RenderRequest): void;
  close(): void;
}
export type StartTemplateWorker = (
  onAnswer: (answer: Rendered) => void,
  onFailure: (why: string) => void,
) => TemplateWorker;

const limitMs = 2000; // real templates take a few milliseconds
const startMs = 20_000; // for the script to load, besides

export class TemplateRenderer {
  private worker: TemplateWorker | null = null;
  private started = false; // it has answered once
  private turn: Promise<unknown> = Promise.resolve();
  private settle: ((answer: Rendered) => void) | null = null;

  constructor(
    private readonly start: StartTemplateWorker,
    private readonly limit = limitMs,
  ) {}

  /** One after another. A template that fails or takes too long is an error 'bad-argument'. */
  render(source: string, values: Record<string, unknown>): Promise<string> {
    const turn = this.turn.then(() => this.renderNow({ source, values }));
    this.turn = turn.catch(() => {});
    return turn;
  }

  close(): void {
    this.worker?.close();
    this.worker = null;
    this.settle?.({ error: 'the engine was unloaded' });
  }

  private async renderNow(request: RenderRequest): Promise<string> {
    if (!this.started) await this.ask({ source: '', values: {} }, startMs); // so that the limit is the template's alone
    const answer = await this.ask(request, this.limit);
    if ('error' in answer) throw new PronkError('bad-argument', answer.error);
    return answer.text;
  }

  private async ask(request: RenderRequest, patience: number): Promise<Rendered> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const answer = await new Promise<Rendered>((resolve) => {
      this.settle = resolve;
      const fail = (error: string): void => {
        this.stop();
        resolve({ error });
      };
      timer = setTimeout(
        () => fail(`the chat template was stopped: it ran for more than ${patience / 1000} s`),
        patience,
      );
      this.worker ??= this.start(
        (given) => this.settle?.(given),
        (why) => {
          this.stop();
          this.settle?.({ error: `the chat template cannot be run: ${why}` });
        },
      );
      try {
        this.worker.post(request);
      } catch {
        fail('a value for the chat template cannot be sent to its worker');
      }
    });
    clearTimeout(timer);
    this.settle = null;
    this.started = this.worker !== null;
    return answer;
  }

  private stop(): void {
    this.worker?.close();
    this.worker = null;
    this.started = false;
  }
}
