import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { messages } from '../conversation';
import { chosen } from '../dropped';
import { hubName, showRepository } from '../hub';
import { cancel, choosing, model, openBox, openFiles, openUrl } from '../model';
import { CatalogueList } from './catalogue-list';
import { FileIcon } from './icons';
import { KeptModels } from './kept-models';
import { RepositoryFiles } from './repository-files';

export function Picker() {
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (choosing.peek()) section.current?.scrollIntoView({ block: 'start' }); // it stands below a conversation
  }, []);
  return (
    <section class="picker" aria-label="Choose a model" ref={section}>
      <Head />
      <div class="picker-box">
        <FileButton />
        <FolderButton />
        <AddressForm />
        <RepositoryFiles />
      </div>
      <p class="note">
        No model at hand?{' '}
        <button class="button-link" type="button" onClick={openBox}>
          Try the small one that comes with this page
        </button>
        .
      </p>
      {!navigator.gpu && <p class="note">This browser has no WebGPU. Small models run on the CPU, slowly.</p>}
      <KeptModels compact />
      <CatalogueList />
    </section>
  );
}

function Head() {
  if (model.value.at === 'ready') {
    return (
      <div class="drawer-head">
        <h2>Another model</h2>
        <button class="button" type="button" onClick={cancel}>
          Keep this one
        </button>
      </div>
    );
  }
  if (messages.value.length > 0) return <p class="picker-again">Open a model to go on with this conversation.</p>;
  return (
    <>
      <h2>A language model, in this tab</h2>
      <p class="lead">
        Open a GGUF model file. It runs here, on your GPU if you have one: nothing is installed, and not a word leaves
        this machine.
      </p>
    </>
  );
}

function FileButton() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button class="button-main" type="button" onClick={() => input.current?.click()}>
        <FileIcon />
        Choose a model file
      </button>
      <p class="picker-hint">or drop it anywhere on this page</p>
      <input
        ref={input}
        class="hidden"
        type="file"
        accept=".gguf"
        multiple
        tabIndex={-1}
        aria-label="Model file"
        onChange={(event) => {
          openFiles({ files: Array.from(event.currentTarget.files ?? []), folder: '' });
          event.currentTarget.value = '';
        }}
      />
    </>
  );
}

/** Of safetensors or MLC's. */
function FolderButton() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <p class="picker-hint">
        or{' '}
        <button class="button-link" type="button" onClick={() => input.current?.click()}>
          choose a folder
        </button>{' '}
        of safetensors or MLC weights
      </p>
      <input
        ref={input}
        class="hidden"
        type="file"
        {...{ webkitdirectory: true }}
        tabIndex={-1}
        aria-label="Model folder"
        onChange={(event) => {
          openFiles(chosen(Array.from(event.currentTarget.files ?? [])));
          event.currentTarget.value = '';
        }}
      />
    </>
  );
}

function AddressForm() {
  const url = useSignal('');
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    const text = url.value.trim();
    if (text === '') return;
    const hub = hubName(text);
    if (hub?.kind === 'repository') void showRepository(hub.name);
    else openUrl(hub?.source ?? text, false);
  };
  return (
    <form class="url-form" onSubmit={onSubmit}>
      <label class="hidden" for="model-url">
        Address of a model
      </label>
      <input
        id="model-url"
        type="text"
        inputMode="url"
        autoComplete="url"
        spellcheck={false}
        placeholder="owner/repo or https://…/model.gguf"
        value={url}
        onInput={(event) => (url.value = event.currentTarget.value)}
      />
      <button class="button" type="submit" disabled={url.value.trim() === ''}>
        Open address
      </button>
    </form>
  );
}
