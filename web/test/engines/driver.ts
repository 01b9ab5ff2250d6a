// What the scenarios ask of a browser; each engine has its own driver.

/** A running browser with one tab. Elements are named by XPath, which every driver knows. */
export interface Tab {
  open(url: string): Promise<void>;
  /** The value of an expression of the page, awaited. */
  evaluate(expression: string): Promise<string>;
  click(xpath: string): Promise<void>;
  /** Keys go to the element; '\n' is the Enter key. */
  type(xpath: string, text: string): Promise<void>;
  /** Ends the browser, and all that was started for it. */
  close(): Promise<void>;
}

export interface BrowserEngine {
  readonly name: string;
  /** It must have WebGPU and OPFS; what another has is found out. */
  readonly complete: boolean;
  /** Its pages can have threads. */
  readonly threads: boolean;
  /** Its WebGPU takes minutes on a CPU: other tests ask it. */
  readonly slowGpu: boolean;
  /** Why it cannot run on this machine; null: it can. */
  missing(): string | null;
  start(): Promise<Tab>;
}

export const patience = 60_000; // milliseconds for anything that a browser does at once

/** As `run(given)` called in the page: `run` may use nothing from around it, and values go both ways as JSON. */
export async function inPage<Given, Value>(
  tab: Tab,
  run: (given: Given) => Value | Promise<Value>,
  given: Given,
): Promise<Value> {
  const call = `(${run.toString()})(${JSON.stringify(given) ?? ''})`;
  const outcome = await tab.evaluate(
    `(async () => JSON.stringify({ value: await ${call} }))().catch((error) =>
      JSON.stringify({ error: (error.code ?? '') + ' ' + error }))`,
  );
  const { value, error } = JSON.parse(outcome) as { value: Value; error?: string };
  if (error !== undefined) throw new Error(`in the page: ${error}`);
  return value;
}

/** Waits until `condition`, called in the page, holds. */
export async function until<Given>(
  tab: Tab,
  condition: (given: Given) => boolean,
  given: Given,
  limit = patience,
): Promise<void> {
  const poll = `new Promise((resolve) => {
    const look = () => {
      if ((${condition.toString()})(${JSON.stringify(given) ?? ''})) resolve('yes');
      else if (performance.now() > end) resolve('no');
      else setTimeout(look, 20);
    };
    const end = performance.now() + ${limit};
    look();
  })`;
  if ((await tab.evaluate(poll)) === 'yes') return;
  const shown = await tab.evaluate('document.body.innerText');
  throw new Error(`after ${limit / 1000} s the page does not fulfil ${condition.toString()}; it shows:\n${shown}`);
}
