// As much of WebGPU as the engine's host touches, with a double of the module: a device that can be lost.

export interface FakeDevice {
  lose(message?: string): void;
  destroyed: boolean;
}

export interface FakeGpu {
  gpu: GPU;
  devices: FakeDevice[]; // in the order of their making
  adapters: boolean; // whether there is an adapter; may change
  info: Partial<GPUAdapterInfo>; // of the adapter
}

export function fakeGpu(onDevice: (device: FakeDevice, index: number) => void = () => {}): FakeGpu {
  const made: FakeGpu = {
    devices: [],
    adapters: true,
    info: {},
    gpu: { requestAdapter: async () => (made.adapters ? adapter : null) } as unknown as GPU,
  };
  const adapter = {
    limits: {},
    features: new Set(),
    get info() {
      return made.info;
    },
    requestDevice: async () => {
      let lose!: (lost: { reason: string; message: string }) => void;
      const device = {
        lost: new Promise((resolve) => (lose = resolve)),
        queue: { onSubmittedWorkDone: async () => {} },
        addEventListener: () => {},
        removeEventListener: () => {},
        destroy() {
          fake.destroyed = true;
          lose({ reason: 'destroyed', message: 'destroyed' });
        },
      };
      const fake: FakeDevice = {
        destroyed: false,
        lose: (message = 'pulled out') => lose({ reason: 'unknown', message }),
      };
      made.devices.push(fake);
      onDevice(fake, made.devices.length - 1);
      return device;
    },
  };
  return made;
}
