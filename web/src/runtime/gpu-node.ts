// WebGPU in Node: the npm package `webgpu` (Dawn), loaded only when asked for.

// Workgroup memory begins as zeros by a loop that Dawn writes, not by the driver: SwiftShader compiles a store for each
// word of it, a second for a kernel.
const zeroByLoops = 'disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension';

/**
 * Node's GPU, to be given to requestDevice(). More options are those of the package, such as 'backend=vulkan'. Node does not
 * end while the returned object is referenced.
 */
export async function createNodeGpu(options: string[] = []): Promise<GPU> {
  const name = 'webgpu'; // a variable: bundlers for the browser must not look for it
  const dawn = (await import(/* @vite-ignore */ name)) as { create(options: string[]): GPU };
  return dawn.create([zeroByLoops, ...options]);
}
