import { newChat } from '../chat';
import { messages } from '../conversation';
import { model, modelName, open } from '../model';
import { ConversationsButton } from './conversations-panel';
import { Mark, NewIcon, SettingsIcon } from './icons';
import { ModelPanel, panelId } from './model-panel';

export function Header({ openSettings }: { openSettings(): void }) {
  const state = model.value;
  const device = state.at !== 'ready' ? '…' : state.plan.device === 'webgpu' ? 'GPU' : 'CPU';
  return (
    <header class="header">
      <h1 class={open.value ? 'brand brand-small' : 'brand'}>
        <Mark />
        <span>pronk</span>
      </h1>
      {(state.at === 'ready' || (state.at === 'loading' && open.value)) && (
        <>
          <button class="chip" type="button" title="What this model is, and others" popovertarget={panelId}>
            <span class="chip-name">{modelName(state.choice, state.plan)}</span>
            <span class="chip-device">{device}</span>
          </button>
          <ModelPanel choice={state.choice} plan={state.plan} />
        </>
      )}
      <div class="header-buttons">
        <ConversationsButton />
        {messages.value.length > 0 && (
          <button
            class="button-quiet"
            type="button"
            title="New chat"
            aria-label="New chat"
            onClick={() => void newChat()}
          >
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
