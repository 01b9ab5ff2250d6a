// What Chromium is started with wherever it has to run WebGPU on SwiftShader, and to leave the network alone.
export const chromiumArguments = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  // SwiftShader compiles a store for each word of workgroup memory that it has to make zero; Dawn's loop is small.
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
