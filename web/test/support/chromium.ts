// Debian's Chromium with WebGPU on SwiftShader, and the server of pages that sends COOP and COEP.
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { chromiumArguments } from '../../scripts/chromium-arguments.mjs';

const executablePath = process.env['PRONK_CHROMIUM'] ?? '/usr/bin/chromium';

/** Why there is no Chromium to launch; null: there is. */
export function missingChromium(): string | null {
  return existsSync(executablePath) ? null : `there is no ${executablePath}`;
}

/** null, and a line that says so, where there is no Chromium. */
export async function launchChromium(): Promise<Browser | null> {
  const missing = missingChromium();
  if (missing) {
    console.log(`skipped: ${missing}`);
    return null;
  }
  return chromium.launch({ executablePath, headless: true, args: chromiumArguments, timeout: 60_000 });
}

interface ServerModule {
  makeServer(options: { root: string; model?: string }): Server;
  listen(server: Server, port: number): Promise<number>;
}

/** Lets `pages` answer, without the headers that isolate a page. */
function serveOpen(pages: Server, request: IncomingMessage, response: ServerResponse): void {
  const setHeader = response.setHeader.bind(response);
  response.setHeader = (name, value) => (name.startsWith('Cross-Origin-') ? response : setHeader(name, value));
  pages.emit('request', request, response);
}

export interface PageServer {
  origin: string;
  close(): void;
}

/** isolated: whether COOP and COEP are sent. */
export async function servePage(root: string, model?: string, { isolated = true } = {}): Promise<PageServer> {
  const path = fileURLToPath(new URL('../../../tools/serve.mjs', import.meta.url));
  const { makeServer, listen } = (await import(path)) as ServerModule;
  const pages = makeServer(model === undefined ? { root } : { root, model });
  const server = isolated ? pages : createServer((request, response) => serveOpen(pages, request, response));
  const port = await listen(server, 0);
  return {
    origin: `http://localhost:${port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
