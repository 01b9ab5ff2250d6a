// The HTTP server in the shapes of the OpenAI API, over one engine.
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Engine } from '../api/engine.js';
import { modelName, now } from '../api/openai/engine.js';
import type { ChatRequest, CompletionRequest, EmbeddingRequest } from '../api/openai/types.js';
import { Exchange, HttpError } from './http-exchange.js';

export interface ServerOptions {
  host: string;
  port: number;
  /** Origin of the pages that may ask; undefined: none. */
  cors?: string;
  apiKey?: string;
  /** Bytes of a body. */
  maxBody: number;
}

export const defaultMaxBody = 8 << 20;

const headersTimeout = 10_000; // milliseconds for a request's head to come
const requestTimeout = 60_000; // and for all of it
const stopPatience = 10_000; // milliseconds that answers have to end when the server stops
const created = now();

type Serves = Pick<Engine, 'chat' | 'completions' | 'embeddings' | 'plan'> & Parameters<typeof modelName>[0];

export class OpenAiServer {
  private readonly server: Server;
  private readonly open = new Set<Exchange>();
  private stopping = false;

  constructor(
    private readonly engine: Serves,
    private readonly options: ServerOptions,
  ) {
    this.server = createServer((request, response) => {
      const exchange = new Exchange(request, response);
      this.open.add(exchange);
      response.on('close', () => {
        this.open.delete(exchange);
        if (this.stopping) setImmediate(() => this.server.closeIdleConnections());
      });
      this.answer(exchange).catch((error: unknown) => exchange.fail(error));
    });
    Object.assign(this.server, { headersTimeout, requestTimeout });
  }

  /** Gives the address. */
  async listen(): Promise<string> {
    const { host, port } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, resolve);
    });
    const { address, family, port: taken } = this.server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`;
  }

  /** Requests being answered. */
  get active(): number {
    return this.open.size;
  }

  /** Takes no more requests; those under way have a while to end. A second call cuts them. */
  async stop(patience = stopPatience): Promise<void> {
    if (this.stopping) return this.cut();
    this.stopping = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    const timer = setTimeout(() => this.cut(), patience);
    await closed;
    clearTimeout(timer);
    // Connections that are cut end a moment before what was answered on them.
    await Promise.all([...this.open].map(({ response }) => once(response, 'close')));
  }

  private cut(): void {
    for (const exchange of this.open) exchange.cut();
    this.server.closeAllConnections();
  }

  private async answer(exchange: Exchange): Promise<void> {
    const { request } = exchange;
    const path = pathOf(request);
    if (this.stopping) exchange.header('connection', 'close');
    this.checkHost(request);
    if (this.options.cors !== undefined) this.allowOrigin(exchange, this.options.cors);
    if (request.method === 'OPTIONS' && this.options.cors !== undefined) return exchange.empty(204);
    if (path === '/health') return exchange.json(200, { status: 'ok' });
    this.checkKey(request);
    if (this.stopping) throw new HttpError(503, 'the server is stopping');
    const routes = this.routes[path] ?? (path.startsWith('/v1/models/') ? this.routes['/v1/models/*'] : undefined);
    if (!routes) throw new HttpError(404, `there is no ${path}`, 'not_found');
    const run = routes[request.method ?? ''];
    if (!run) throw new HttpError(405, `${path} does not take ${request.method}`);
    await run(exchange);
  }

  private readonly routes: Record<string, Record<string, (exchange: Exchange) => Promise<void>>> = {
    '/v1/models': { GET: async (exchange) => exchange.json(200, { object: 'list', data: [this.model()] }) },
    '/v1/models/*': { GET: async (exchange) => this.oneModel(exchange) },
    '/v1/chat/completions': {
      POST: (exchange) =>
        this.create(exchange, (body, options) =>
          this.engine.chat.completions.create(body as unknown as ChatRequest, options),
        ),
    },
    '/v1/completions': {
      POST: (exchange) =>
        this.create(exchange, (body, options) =>
          this.engine.completions.create(body as unknown as CompletionRequest, options),
        ),
    },
    '/v1/embeddings': {
      POST: (exchange) =>
        this.create(exchange, (body, options) =>
          this.engine.embeddings.create(body as unknown as EmbeddingRequest, options),
        ),
    },
  };

  private async create(
    exchange: Exchange,
    run: (body: Record<string, unknown>, options: { signal: AbortSignal }) => Promise<object>,
  ): Promise<void> {
    const body = await exchange.body(this.options.maxBody);
    const answer = await run(body, { signal: exchange.signal });
    if (Symbol.asyncIterator in answer) await exchange.events(answer as AsyncIterable<unknown>);
    else exchange.json(200, answer);
  }

  private model(): object {
    return { id: modelName(this.engine), object: 'model', created, owned_by: 'pronk' };
  }

  private oneModel(exchange: Exchange): void {
    const id = pathOf(exchange.request).slice('/v1/models/'.length);
    if (id !== encodeURIComponent(modelName(this.engine)) && id !== modelName(this.engine))
      throw new HttpError(404, `there is no model '${id}'`, 'model_not_found');
    exchange.json(200, this.model());
  }

  private allowOrigin(exchange: Exchange, origin: string): void {
    exchange.header('access-control-allow-origin', origin);
    exchange.header('access-control-allow-methods', 'GET, POST, OPTIONS');
    exchange.header('access-control-allow-headers', exchange.request.headers['access-control-request-headers'] ?? '*');
    if (origin !== '*') exchange.header('vary', 'origin');
  }

  private checkKey({ headers }: IncomingMessage): void {
    const { apiKey } = this.options;
    if (apiKey === undefined) return;
    const given = /^Bearer (.*)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    if (!timingSafeEqual(digest(given), digest(apiKey))) {
      throw new HttpError(401, 'the API key is missing or wrong', 'invalid_api_key');
    }
  }

  // A page may reach this machine's own server by a name that it lets point here; the name gives it away.
  private checkHost({ headers }: IncomingMessage): void {
    const { host } = this.options;
    if (!isLoopback(host)) return;
    const name = (headers.host ?? '').replace(/:\d+$/, '');
    if (!isLoopback(name)) throw new HttpError(403, `this server is not called '${name}'`);
  }
}

const pathOf = ({ url = '/' }: IncomingMessage): string => url.replace(/[?#].*/s, '').replace(/\/+$/, '');

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host);
