import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { answering, stop } from '../chat';
import { messages, restored } from '../conversation';
import { dropped } from '../dropped';
import { choosing, model, next, open, openFiles } from '../model';
import { Bench, benchIsOpen } from './bench-route';
import { Composer } from './composer';
import { Conversation } from './conversation';
import { Header } from './header';
import { ModelCard } from './model-card';
import { Picker } from './picker';
import { NoticeBox, ProblemBox } from './problem';
import { SettingsDrawer } from './settings-drawer';

export function App() {
  const settingsOpen = useSignal(false);
  const dragging = useFileDrop();

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === 'Escape' && answering.value !== 'no' && !settingsOpen.value) stop();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);

  const { value: coming } = next;
  const asks = choosing.value || (model.value.at === 'none' && !coming);
  return (
    <div class="page">
      <Header openSettings={() => (settingsOpen.value = true)} />
      {restored.value && (
        <>
          <main class={messages.value.length > 0 || open.value ? 'main' : 'main main-empty'}>
            {benchIsOpen() ? <Bench /> : <Conversation />}
            <ProblemBox />
            <NoticeBox />
            {asks && <Picker />}
            {coming && !(coming.at === 'loading' && coming.choice.builtin) && <ModelCard state={coming} />}
          </main>
          {!benchIsOpen() && <Composer />}
        </>
      )}
      <SettingsDrawer open={settingsOpen} />
      {dragging && (
        <div class="drop" aria-hidden="true">
          <p>Drop the model here</p>
        </div>
      )}
    </div>
  );
}

/** Files may be dropped anywhere. True while some are held over the page. */
function useFileDrop(): boolean {
  const dragging = useSignal(false);
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
    const listeners: [keyof WindowEventMap, (event: DragEvent) => void][] = [
      ['dragenter', (event) => hasFiles(event) && ((dragging.value = true), depth++)],
      ['dragleave', (event) => hasFiles(event) && --depth <= 0 && ((dragging.value = false), (depth = 0))],
      ['dragover', (event) => hasFiles(event) && event.preventDefault()],
      [
        'drop',
        (event) => {
          if (!hasFiles(event)) return;
          event.preventDefault();
          depth = 0;
          dragging.value = false;
          if (event.dataTransfer) void dropped(event.dataTransfer).then(openFiles);
        },
      ],
    ];
    for (const [type, listener] of listeners) addEventListener(type, listener as EventListener);
    return () => {
      for (const [type, listener] of listeners) removeEventListener(type, listener as EventListener);
    };
  }, []);
  return dragging.value;
}
