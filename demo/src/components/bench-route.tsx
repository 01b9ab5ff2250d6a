// The way to the measurements: their code loads when the address ends in #bench.
import { signal } from '@preact/signals';
import { lazy } from '../lazy';

const hash = signal(location.hash);
addEventListener('hashchange', () => (hash.value = location.hash));

const bench = lazy(() => import('../bench/bench-page'));

export const benchIsOpen = (): boolean => hash.value === '#bench';

export function Bench() {
  bench.want();
  const Page = bench.value.value?.BenchPage;
  return Page ? <Page /> : <div class="bar bar-unknown" role="progressbar" aria-label="Loading the page" />;
}
