// TeX as MathML, in a chunk that loads with the first formula.
import temml from 'temml';

const longest = 5000; // characters; more is no formula, and would take its time

/** Markup of the formula, still to be sanitized; null: it cannot be read. */
export function renderMath(source: string, display: boolean): string | null {
  if (source.length > longest) return null;
  try {
    const options = { displayMode: display, throwOnError: true, maxExpand: 200, maxSize: [10, 50] as [number, number] };
    // The page's policy refuses styles in markup, and says so on the console. Quotes in texts are written &quot;.
    return temml.renderToString(source, options).replace(/ style="[^"]*"/g, '');
  } catch {
    return null;
  }
}
