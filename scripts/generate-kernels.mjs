// Assembles src/engine/memory/kernels.wat into src/engine/memory/kernels-wasm.ts. The result is committed, so this runs only
// when the kernels change; a test assembles them again and compares.
//
//   npm run generate:kernels
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import openWabt from "wabt";

const folder = new URL("../src/engine/memory/", import.meta.url);
const wabt = await openWabt();
const parsed = wabt.parseWat("kernels.wat", readFileSync(new URL("kernels.wat", folder), "utf8"));
parsed.validate();
const { buffer } = parsed.toBinary({});

const lines = [];
for (let i = 0; i < buffer.length; i += 30) lines.push(`  ${[...buffer.subarray(i, i + 30)].join(", ")},`);
const text = `// Assembled from kernels.wat by scripts/generate-kernels.mjs; change that text, not this one.
// SPDX-License-Identifier: Apache-2.0
// prettier-ignore
export const kernelBytes: Uint8Array<ArrayBuffer> = new Uint8Array([
${lines.join("\n")}
]);
`;
writeFileSync(fileURLToPath(new URL("kernels-wasm.ts", folder)), text);
