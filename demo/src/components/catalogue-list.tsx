import { useEffect } from 'preact/hooks';
import { askWhetherItFits, type CatalogueEntry, catalogue, fetchCatalogue, fits, pageOf, sourceOf } from '../catalogue';
import * as format from '../format';
import { openUrl } from '../model';
import { FitText } from './fit-text';

export function CatalogueList() {
  useEffect(() => void fetchCatalogue(), []);
  if (catalogue.value.length === 0) return null;
  return (
    <section class="catalogue" aria-label="Models to download">
      <h2 class="list-title">Models to download</h2>
      <ul>
        {catalogue.value.map((entry) => (
          <Entry key={entry.id} entry={entry} />
        ))}
      </ul>
    </section>
  );
}

function Entry({ entry }: { entry: CatalogueEntry }) {
  const known = fits.value.get(entry.id);
  const size = entry.bytes ?? (known && known !== 'asking' && !(known instanceof Error) ? known.fileBytes : null);
  const facts = [entry.family, `${format.count(entry.parameters)} weights`, size === null ? '' : format.bytes(size)];
  return (
    <li class="entry">
      <div class="entry-text">
        <strong>{entry.name}</strong>
        <span class="field-hint">{facts.filter((fact) => fact !== '').join(' · ')}</span>
        <span>{entry.good}</span>
        <span class="field-hint">
          {entry.licence} ·{' '}
          <a href={pageOf(entry)} target="_blank" rel="noopener noreferrer">
            {entry.repo}
          </a>
        </span>
        <FitText known={known} />
      </div>
      <div class="entry-buttons">
        {known === undefined && (
          <button
            class="button-link"
            type="button"
            aria-label={`Does it fit? ${entry.name}`}
            onClick={() => void askWhetherItFits(entry)}
          >
            Does it fit?
          </button>
        )}
        <button
          class="button-small"
          type="button"
          aria-label={`Open ${entry.name}`}
          onClick={() => openUrl(sourceOf(entry), false)}
        >
          Open
        </button>
      </div>
    </li>
  );
}
