import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { messages } from '../conversation';
import { openBox, openFiles, openUrl } from '../model';
import { FileIcon } from './icons';

export function Picker() {
  const input = useRef<HTMLInputElement>(null);
  const url = useSignal('');
  const again = messages.value.length > 0;

  const onSubmit = (event: Event): void => {
    event.preventDefault();
    if (url.value.trim()) openUrl(url.value.trim(), false);
  };

  return (
    <section class="picker" aria-label="Choose a model">
      {again ? (
        <p class="picker-again">Open a model to go on with this conversation.</p>
      ) : (
        <>
          <h2>A language model, in this tab</h2>
          <p class="lead">
            Open a GGUF model file. It runs on your own GPU: nothing is installed, and not a word leaves this machine.
          </p>
        </>
      )}
      <div class="picker-box">
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
            openFiles(Array.from(event.currentTarget.files ?? []));
            event.currentTarget.value = '';
          }}
        />
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
            placeholder="https://…/model.gguf"
            value={url}
            onInput={(event) => (url.value = event.currentTarget.value)}
          />
          <button class="button" type="submit" disabled={url.value.trim() === ''}>
            Open address
          </button>
        </form>
      </div>
      <p class="note">
        No model at hand?{' '}
        <button class="button-link" type="button" onClick={openBox}>
          Try the small one that comes with this page
        </button>
        .
      </p>
      {!navigator.gpu && <p class="note">This browser has no WebGPU. Small models run on the CPU, slowly.</p>}
    </section>
  );
}
