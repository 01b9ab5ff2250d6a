import { useEffect, useRef } from 'preact/hooks';
import { answering, send, stop, storyMode } from '../chat';
import { draft } from '../conversation';
import { model, open } from '../model';
import { SendIcon, StopIcon } from './icons';
import { Meter } from './meter';

export function Composer() {
  const field = useRef<HTMLTextAreaElement>(null);
  const ready = open.value;
  const loading = ready && model.value.at !== 'ready';
  const busy = answering.value !== 'no';
  const text = draft.value;

  useEffect(() => {
    const area = field.current;
    if (!area) return;
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight}px`;
  }, [text, ready]);

  // A person who has just loaded a model wants to write. On a phone this would bring up the keyboard unasked.
  useEffect(() => {
    if (ready && matchMedia('(hover: hover)').matches) field.current?.focus();
  }, [ready]);

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    send();
    field.current?.focus();
  };

  if (!ready) return null;
  return (
    <form class="composer" aria-label="Write to the model" onSubmit={onSubmit}>
      <div class="composer-box">
        <textarea
          ref={field}
          rows={1}
          aria-label={storyMode.value ? 'Beginning of a story' : 'Message'}
          placeholder={storyMode.value ? 'Once upon a time …' : 'Write a message'}
          value={text}
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        {busy ? (
          <button class="button-send" type="button" title="Stop (Esc)" aria-label="Stop" onClick={stop}>
            <StopIcon />
          </button>
        ) : (
          <button
            class="button-send"
            type="submit"
            title="Send (Enter)"
            aria-label="Send"
            disabled={text.trim() === ''}
          >
            <SendIcon />
          </button>
        )}
      </div>
      <div class="composer-foot">
        <p class="composer-note">
          {loading
            ? 'The model is getting ready. You can write already.'
            : storyMode.value
              ? 'Story mode: this model continues your text.'
              : 'Models make mistakes.'}
          {!loading && !storyMode.value && <span class="composer-note-long"> Shift + Enter starts a new line.</span>}
        </p>
        <Meter />
      </div>
    </form>
  );
}
