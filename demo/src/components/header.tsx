import { newChat } from '../chat';
import { messages } from '../conversation';
import { model, modelName, next, open } from '../model';
import { ConversationsButton } from './conversations-panel';
import { Mark, NewIcon, SettingsIcon } from './icons';
import { ModelPanel, panelId } from './model-panel';

export function Header({ openSettings }: { openSettings(): void }) {
  const ready = model.value.at === 'ready' ? model.value : null;
  const shown = ready ?? (open.value ? next.value : null);
  const device = !ready ? '…' : ready.plan.device === 'webgpu' ? 'GPU' : 'CPU';
  return (
    <header class="header">
      <h1 class={open.value ? 'brand brand-small' : 'brand'}>
        <Mark />
        <span>pronk</span>
      </h1>
      {shown && (
        <>
          <button class="chip" type="button" title="What this model is, and others" popovertarget={panelId}>
            <span class="chip-name">{modelName(shown.choice, ready?.plan ?? null)}</span>
            <span class="chip-device">{device}</span>
          </button>
          <ModelPanel choice={shown.choice} plan={ready?.plan ?? null} />
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
