// WebKitGTK's MiniBrowser on a display of its own (Xvfb), driven by selenium-webdriver through WebKitWebDriver.
import { createServer } from 'node:net';
import { arch } from 'node:os';
import { Builder, By, Key, until as met, type WebDriver } from 'selenium-webdriver';
import { type BrowserEngine, patience, type Tab } from './driver.js';
import { type Closers, missingFile, setpriv, startOrClose, startProgram, temporaryHome, within } from './processes.js';

const triplet = arch() === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const miniBrowser = `/usr/lib/${triplet}/webkit2gtk-4.1/MiniBrowser`;
const webDriver = '/usr/bin/WebKitWebDriver';
const xvfb = '/usr/bin/Xvfb';

/** Starts a display; gives its name. */
async function startDisplay(closers: Closers, env: NodeJS.ProcessEnv): Promise<string> {
  const server = startProgram(
    closers,
    xvfb,
    ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp'],
    env,
  );
  const number = new Promise<string>((resolve, reject) => {
    let said = '';
    server.stdio[3]!.on('data', (text: Buffer) => {
      said += text.toString();
      if (said.endsWith('\n')) resolve(said.trim());
    });
    server.once('exit', () => reject(new Error('Xvfb ended at once')));
  });
  return `:${await within(patience, 'starting Xvfb', number)}`;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve((address as { port: number }).port));
    });
  });
}

/** Starts WebKitWebDriver; gives its address when it answers there. */
async function startDriver(closers: Closers, env: NodeJS.ProcessEnv): Promise<string> {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const program = startProgram(closers, webDriver, [`--port=${port}`], env);
  const answers = async (): Promise<string> => {
    while (program.exitCode === null && program.signalCode === null) {
      if (
        await fetch(`${address}/status`)
          .then((response) => response.ok)
          .catch(() => false)
      )
        return address;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('WebKitWebDriver ended at once');
  };
  return within(patience, 'starting WebKitWebDriver', answers());
}

async function startSession(address: string): Promise<WebDriver> {
  const options = { binary: miniBrowser, args: ['--automation'] };
  const capabilities = { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': options };
  const driver = await new Builder().usingServer(address).withCapabilities(capabilities).build();
  await driver.manage().setTimeouts({ script: 120_000, pageLoad: 60_000 });
  return driver;
}

function start(): Promise<Tab> {
  return startOrClose(async (closers) => {
    const env = { ...temporaryHome(closers), NO_AT_BRIDGE: '1', GDK_BACKEND: 'x11' };
    const display = await startDisplay(closers, env);
    const address = await startDriver(closers, { ...env, DISPLAY: display });
    const driver = await within(60_000, 'starting MiniBrowser', startSession(address));
    closers.add(() => within(patience, 'closing MiniBrowser', driver.quit()));
    const find = (xpath: string) => driver.wait(met.elementLocated(By.xpath(xpath)), patience);
    return {
      open: (url) => driver.get(url),
      evaluate: (expression) =>
        driver.executeAsyncScript<string>(`Promise.resolve(${expression}).then(arguments[arguments.length - 1])`),
      click: async (xpath) => (await find(xpath)).click(),
      type: async (xpath, text) => (await find(xpath)).sendKeys(text.replaceAll('\n', Key.ENTER)),
      close: () => closers.close(),
    };
  });
}

export const webkitGtk: BrowserEngine = {
  name: 'WebKitGTK',
  complete: false,
  threads: false,
  slowGpu: false,
  missing: () => missingFile(setpriv, xvfb, webDriver, miniBrowser),
  start,
};
