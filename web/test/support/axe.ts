// What axe-core finds wrong with a page.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Finding {
  id: string;
  nodes: { html: string; failureSummary: string }[];
}

/** One line a finding, in light and in dark. */
export async function findings(page: Page, state: string): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.evaluate(axe);
    const violations = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as Finding[];
    for (const { id, nodes } of violations) {
      found.push(
        ...nodes.map(({ html, failureSummary }) => `${state}, ${colorScheme}: ${id}: ${html}: ${failureSummary}`),
      );
    }
  }
  return found;
}
