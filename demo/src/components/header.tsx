import { answering, messages, newChat } from '../chat';
import { model, modelName, unload } from '../model';
import { Mark, NewIcon, SettingsIcon } from './icons';

export function Header({ openSettings }: { openSettings(): void }) {
  const state = model.value;
  return (
    <header class="header">
      <h1 class={state.at === 'ready' ? 'brand brand-small' : 'brand'}>
        <Mark />
        <span>pronk</span>
      </h1>
      {state.at === 'ready' && (
        <button
          class="chip"
          type="button"
          title={`${state.choice.name}: choose another model`}
          disabled={answering.value !== 'no'}
          onClick={() => void unload()}
        >
          <span class="chip-name">{modelName(state.choice, state.plan)}</span>
          <span class="chip-device">{state.plan.device === 'webgpu' ? 'GPU' : 'CPU'}</span>
        </button>
      )}
      <div class="header-buttons">
        {messages.value.length > 0 && (
          <button class="button-quiet" type="button" title="New chat" aria-label="New chat" onClick={newChat}>
            <NewIcon />
            <span class="wide-only">New chat</span>
          </button>
        )}
        <button class="button-quiet" type="button" title="Settings" aria-label="Settings" onClick={openSettings}>
          <SettingsIcon />
        </button>
      </div>
    </header>
  );
}
