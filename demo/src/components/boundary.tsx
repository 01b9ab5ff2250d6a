// What is shown in place of the page when a part of it throws: never nothing.
import { Component, type ComponentChildren } from 'preact';
import { clear } from '../conversation-store';
import { clearLocal } from '../storage';

interface State {
  error: unknown;
}

export class Boundary extends Component<{ children: ComponentChildren }, State> {
  override state: State = { error: null };

  static override getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override render() {
    const { error } = this.state;
    return error === null ? this.props.children : <Broken error={error} />;
  }
}

const reload = (): void => location.reload();

/** Forgets conversations and settings, and goes to the page as it is for someone new. */
async function reset(): Promise<void> {
  clearLocal();
  await clear();
  location.assign(location.pathname);
}

function Broken({ error }: { error: unknown }) {
  return (
    <div class="page">
      <main class="main main-empty">
        <section class="card" role="alert" aria-labelledby="broken">
          <div class="card-head">
            <h1 id="broken">Something in this page broke</h1>
            <p class="card-sub">{error instanceof Error ? error.message : String(error)}</p>
          </div>
          <p class="note">
            Loading the page again may help. If it does not, what this browser keeps for it can be forgotten:
            conversations and settings, but no downloaded models.
          </p>
          <div class="card-buttons">
            <button class="button" type="button" onClick={() => void reset()}>
              Forget conversations and settings
            </button>
            <button class="button-main" type="button" onClick={reload}>
              Load the page again
            </button>
          </div>
        </section>
      </main>
    </div>
  );
}
