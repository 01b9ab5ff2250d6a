// The model files of a repository on Hugging Face.
import * as format from '../format';
import { repository } from '../hub';
import { openUrl } from '../model';
import { CloseIcon } from './icons';

const hubSource = (name: string, path: string): string => (path === '' ? `hf:${name}` : `hf:${name}/${path}`);

export function RepositoryFiles() {
  const shown = repository.value;
  if (!shown) return null;
  return (
    <section class="repository" aria-label={`Files of ${shown.name}`}>
      <div class="drawer-head">
        <h2 class="list-title">{shown.name}</h2>
        <button class="button-icon" type="button" aria-label="Close the list" onClick={() => (repository.value = null)}>
          <CloseIcon />
        </button>
      </div>
      {shown.files === null && <div class="bar bar-unknown" role="progressbar" aria-label="Asking for the files" />}
      {shown.problem !== '' && (
        <p class="note" role="alert">
          {shown.problem}
        </p>
      )}
      <ul>
        {shown.files?.map(({ path, bytes }) => (
          <li key={path}>
            <button class="past-open" type="button" onClick={() => openUrl(hubSource(shown.name, path), false)}>
              <span class="past-title">{path || 'The weights as they are'}</span>
              <span class="field-hint">{format.bytes(bytes)}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
