const pending: (() => void)[] = [];
let channel: MessageChannel | null = null;

/** Lets tasks that wait, among them messages, run first. setTimeout() would cost 4 ms in a browser. */
export function tick(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => void };
  return new Promise((resolve) => {
    if (setImmediate) {
      setImmediate(resolve);
      return;
    }
    if (!channel) {
      channel = new MessageChannel();
      channel.port1.onmessage = () => pending.shift()?.();
    }
    pending.push(resolve);
    channel.port2.postMessage(null);
  });
}
