// Workers whose script is of another origin than the page: a browser refuses them, but lets a script of the page's own import it.

/**
 * make: `new Worker(new URL('./name.js', import.meta.url), …)` itself, which bundlers look for. script, base: the same as
 * values, for where the package is served as it is, from elsewhere.
 */
export function startScript(make: () => Worker, script: string, base: string, options: WorkerOptions): Worker {
  if (!isElsewhere(base)) return make();
  const url = URL.createObjectURL(
    new Blob([`import ${JSON.stringify(new URL(script, base).href)};`], { type: 'text/javascript' }),
  );
  return new Worker(url, options);
}

const isElsewhere = (base: string): boolean => /^https?:/.test(base) && new URL(base).origin !== self.origin;
