// WebGPU without a GPU: Dawn in Node runs on the SwiftShader that comes with Debian's chromium.
import { existsSync } from 'node:fs';

const driver = '/usr/lib/chromium/vk_swiftshader_icd.json';

export default function setup(): void {
  if (process.env['VK_DRIVER_FILES'] || process.env['VK_ICD_FILENAMES'] || !existsSync(driver)) return;
  process.env['VK_DRIVER_FILES'] = driver;
  process.env['VK_ICD_FILENAMES'] = driver;
}
