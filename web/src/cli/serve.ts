// pronk serve
import { Pronk } from '../api/node.js';
import { PronkError } from '../runtime/errors.js';
import { Conversations } from './conversations.js';
import { type Flags, loadOptionsOf, modelOf, numberOf, textOf } from './options.js';
import { clearProgress, showNotice, showProgress } from './progress.js';
import { defaultMaxBody, OpenAiServer } from './server.js';

const defaultSessions = 8;

export async function serve(flags: Flags, rest: string[]): Promise<void> {
  if (rest.length > 0) throw new PronkError('bad-argument', `serve takes no '${rest[0]}'`);
  const options = {
    host: textOf(flags, 'host') ?? '127.0.0.1',
    port: numberOf(flags, 'port', 0, 65535) ?? 8080,
    cors: textOf(flags, 'cors'),
    apiKey: textOf(flags, 'api-key') ?? (process.env['PRONK_API_KEY'] || undefined),
    maxBody: numberOf(flags, 'max-body', 1, 2 ** 31) ?? defaultMaxBody,
  };
  const sessions = numberOf(flags, 'sessions', 1, 1000) ?? defaultSessions;
  const loading = { ...loadOptionsOf(flags), onProgress: showProgress, onNotice: showNotice };
  const engine = await Pronk.load(modelOf(flags), loading);
  clearProgress();
  const server = new OpenAiServer(new Conversations(engine, sessions), options);
  try {
    process.stdout.write(`${engine.plan.name || modelOf(flags)} at ${await server.listen()}/v1\n`);
    await stopSignal(server);
  } finally {
    await engine.unload();
  }
}

/** Until the server has stopped, after SIGINT or SIGTERM; a second one stops it at once. */
function stopSignal(server: OpenAiServer): Promise<void> {
  return new Promise((resolve, reject) => {
    let first = true;
    const onSignal = (): void => {
      const stopped = server.stop();
      if (first) stopped.then(resolve, reject);
      first = false;
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}
