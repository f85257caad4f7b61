// heddle adapter: merging into a base's weights, and what is said where there is nothing to save or merge.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HostTensor } from "../../src/base/index.ts";
import { saveAdapter } from "../../src/hub/index.node.ts";
import {
  addAdapter,
  initialize,
  mergeLora,
  namedParameters,
  removeAdapters,
  type AdapterOptions,
} from "../../src/nn/index.ts";
import { openTranslation, readWeights } from "../../src/tasks/index.node.ts";
import { call, tinyRun, type TinyRun } from "./tiny-run.ts";

const lora: AdapterOptions = { kind: "lora", targets: ["query", "value"], rank: 2, alpha: 6 };
let made: TinyRun;

beforeAll(async () => {
  made = await tinyRun();
});
afterAll(() => rm(made.folder, { recursive: true }));

/** The run's values with adapters that are not at their start. */
function adaptedValues(options: AdapterOptions): Map<string, HostTensor<"float32">> {
  addAdapter(made.model, options);
  const values = new Map([...initialize(namedParameters(made.model), 3), ...made.weights]);
  removeAdapters(made.model);
  for (const [name, { data }] of values)
    if (name.includes(".adapter.")) data.forEach((_, i) => (data[i] = Math.sin(i)));
  return values;
}

test("merge writes weights that the base's run takes, and that are W + s A B", async () => {
  const values = adaptedValues(lora);
  const folder = join(made.folder, "weather");
  await saveAdapter(folder, { options: lora, values });
  const output = join(made.folder, "merged.safetensors");
  const words = ["--model", made.folder, "--checkpoint", made.checkpoint, "--adapter", folder, "--output", output];
  // One layer each: a self-attention in the encoder, two attentions in the decoder.
  expect(await call("adapter", "merge", ...words)).toEqual({
    code: 0,
    out: `${output}: the weights with adapters of 6 layers merged\n`,
    error: "",
  });
  expect(await readWeights(output)).toEqual(mergeLora(values, { alpha: 6 }));
  const { model } = await openTranslation(made.folder, { checkpoint: output });
  expect(namedParameters(model).size).toBe(made.weights.size);
});

test("merge refuses Houlsby adapters, and a run that has none of its own", async () => {
  const options: AdapterOptions = { kind: "houlsby", bottleneck: 2 };
  const folder = join(made.folder, "houlsby");
  await saveAdapter(folder, { options, values: adaptedValues(options) });
  const words = [
    "--model",
    made.folder,
    "--checkpoint",
    made.checkpoint,
    "--output",
    join(made.folder, "none.safetensors"),
  ];
  const houlsby = await call("adapter", "merge", ...words, "--adapter", folder);
  expect([houlsby.code, houlsby.error]).toEqual([
    2,
    `heddle: ${folder}: only low-rank adapters can be merged, and these are of kind houlsby\n`,
  ]);
  const none = await call("adapter", "merge", ...words);
  expect([none.code, none.error]).toEqual([
    2,
    `heddle: ${made.folder}: its model has no adapter of its own. Name one with --adapter.\n`,
  ]);
});

test("save says that a run without an adapter has none", async () => {
  const words = ["--model", made.folder, "--checkpoint", made.checkpoint, "--output", join(made.folder, "saved")];
  const { code, error } = await call("adapter", "save", ...words);
  expect(code).toBe(2);
  expect(error).toMatch(/its model has no adapter\. Train one with model\.adapter/);
});
