// Adapters in a folder of their own: written, read back, and refused where they do not belong.
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { openSafetensors, writeSafetensors } from "../../src/formats/index.node.ts";
import { fitAdapter, loadAdapter, readAdapter, saveAdapter } from "../../src/hub/index.node.ts";
import {
  addAdapter,
  initialize,
  isAdapterParameter,
  namedParameters,
  type AdapterOptions,
} from "../../src/nn/index.ts";
import { noisyValues, SmallModel } from "../nn/adapters/small-model.ts";
import { temporaryFolder } from "../train/temporary-folder.ts";

const lora: AdapterOptions = { kind: "lora", targets: ["query", "value"], rank: 2, alpha: 6, dropout: 0.1 };
const houlsby: AdapterOptions = { kind: "houlsby", bottleneck: 3 };

function adapted(options: AdapterOptions, seed = 1): { model: SmallModel; values: Map<string, HostTensor<"float32">> } {
  const model = new SmallModel();
  addAdapter(model, options);
  return { model, values: noisyValues(model, () => true, seed) };
}

describe.each([
  ["LoRA", lora],
  ["Houlsby", houlsby],
])("%s", (_, options) => {
  test("comes back bit for bit, with its options, from a folder that holds nothing else", async () => {
    const folder = join(await temporaryFolder(), "deep", "adapter");
    const { model, values } = adapted(options);
    await saveAdapter(folder, { options, values });
    expect((await readdir(folder)).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    expect(await readdir(join(folder, ".."))).toEqual(["adapter"]);
    const read = await readAdapter(folder);
    expect(read.options).toEqual(options);
    expect(read.values).toEqual(new Map([...values].filter(([name]) => isAdapterParameter(name))));
    expect(await loadAdapter(folder, model)).toEqual(read.values);
  });

  test("takes the bytes of its own numbers and a header", async () => {
    const folder = join(await temporaryFolder(), "adapter");
    const { values } = adapted(options);
    await saveAdapter(folder, { options, values });
    const numbers = [...values]
      .filter(([name]) => isAdapterParameter(name))
      .reduce((sum, [, { data }]) => sum + data.length, 0);
    const { size } = await stat(join(folder, "adapter_model.safetensors"));
    expect(size).toBeLessThan(4 * numbers + 5000);
  });

  test("a folder that holds something is left alone", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "notes.txt"), "mine");
    await expect(saveAdapter(folder, { options, values: adapted(options).values })).rejects.toThrow(
      /holds files already/,
    );
    expect(await readdir(folder)).toEqual(["notes.txt"]);
  });

  test("values without an adapter are refused before anything is written", async () => {
    const folder = join(await temporaryFolder(), "adapter");
    await expect(
      saveAdapter(folder, { options, values: initialize(namedParameters(new SmallModel()), 1) }),
    ).rejects.toThrow(/no adapter is among the values/);
    await expect(stat(folder)).rejects.toThrow(/ENOENT/);
  });
});

test("LoRA is written in PEFT's words: its names, its transposed matrices, its configuration", async () => {
  const folder = join(await temporaryFolder(), "adapter");
  const { values } = adapted(lora);
  await saveAdapter(folder, { options: lora, values });
  await using file = await openSafetensors(join(folder, "adapter_model.safetensors"));
  const name = "layers.0.selfAttention.query";
  const a = await file.read(`base_model.model.${name}.lora_A.weight`);
  const b = await file.read(`base_model.model.${name}.lora_B.weight`);
  expect([a.dims, b.dims]).toEqual([
    [2, 12],
    [12, 2],
  ]);
  const ours = values.get(`${name}.adapter.down`)!; // [12, 2]
  expect(a.data[1 * 12 + 5]).toBe(ours.data[5 * 2 + 1]);
  const config = JSON.parse(await readFile(join(folder, "adapter_config.json"), "utf8")) as Record<string, unknown>;
  expect(config).toMatchObject({
    peft_type: "LORA",
    r: 2,
    lora_alpha: 6,
    lora_dropout: 0.1,
    target_modules: ["query", "value"],
    bias: "none",
  });
});

test("a pattern with stars is written out as paths, since PEFT's lists know no stars", async () => {
  const folder = join(await temporaryFolder(), "adapter");
  const options: AdapterOptions = {
    kind: "lora",
    targets: ["layers.*.selfAttention.key"],
    rank: 1,
    alpha: 1,
    dropout: 0,
  };
  await saveAdapter(folder, { options, values: adapted(options).values });
  const config = JSON.parse(await readFile(join(folder, "adapter_config.json"), "utf8")) as Record<string, unknown>;
  expect(config.target_modules).toEqual(["layers.0.selfAttention.key", "layers.1.selfAttention.key"]);
  expect((await readAdapter(folder)).options).toEqual(options);
});

test("another alpha in the file than in the model scales `up`, so that the gain is the file's", () => {
  const { values } = adapted({ ...lora, alpha: 6 });
  const { model } = adapted({ ...lora, alpha: 3 });
  const own = new Map([...values].filter(([name]) => isAdapterParameter(name)));
  const fitted = fitAdapter(model, { options: { ...lora, alpha: 6 }, values: own });
  const name = "layers.1.selfAttention.value.adapter";
  expect(fitted.get(`${name}.down`)).toBe(own.get(`${name}.down`));
  expect(fitted.get(`${name}.up`)!.data).toEqual(own.get(`${name}.up`)!.data.map((value) => 2 * value));
});

describe("an adapter that does not fit the model is refused, with the tensor and both shapes", () => {
  test.each<[string, AdapterOptions, AdapterOptions, RegExp]>([
    [
      "another rank",
      lora,
      { ...lora, rank: 3 },
      /tensor "layers\.0\.selfAttention\.query\.adapter\.down".*is \[12, 2\], but the model's adapter has \[12, 3\]/,
    ],
    [
      "a layer more",
      { ...lora, targets: ["query", "value", "key"] },
      lora,
      /tensor "layers\.0\.selfAttention\.key\.adapter\.down" \[12, 2\]: the model has no adapter there/,
    ],
    [
      "a layer less",
      { ...lora, targets: ["query"] },
      lora,
      /lacks layers\.0\.selfAttention\.value\.adapter\.down \[12, 2\]/,
    ],
    ["another kind", houlsby, lora, /output\.adapter\.down\.weight" \[12, 3\]: the model has no adapter there/],
    [
      "another bottleneck",
      houlsby,
      { ...houlsby, bottleneck: 4 },
      /is \[12, 3\], but the model's adapter has \[12, 4\]/,
    ],
  ])("%s", async (_, stored, own, message) => {
    const folder = join(await temporaryFolder(), "adapter");
    await saveAdapter(folder, { options: stored, values: adapted(stored).values });
    await expect(loadAdapter(folder, adapted(own).model)).rejects.toThrow(message);
  });
});

describe("adapter_config.json", () => {
  const plain = { peft_type: "LORA", r: 2, lora_alpha: 4, lora_dropout: 0, target_modules: ["query"], bias: "none" };

  async function folderWith(config: unknown): Promise<string> {
    const folder = join(await temporaryFolder(), "adapter");
    await mkdir(folder);
    await writeFile(join(folder, "adapter_config.json"), typeof config === "string" ? config : JSON.stringify(config));
    const tensor = hostTensor("float32", [2, 12], new Float32Array(24));
    await writeSafetensors(join(folder, "adapter_model.safetensors"), [
      ["base_model.model.a.query.lora_A.weight", tensor],
    ]);
    return folder;
  }

  test("of PEFT's own, without our section, is understood", async () => {
    const { options, values } = await readAdapter(await folderWith(plain));
    expect(options).toEqual({ kind: "lora", targets: ["query"], rank: 2, alpha: 4, dropout: 0 });
    expect(values.get("a.query.adapter.down")!.dims).toEqual([12, 2]);
  });

  test.each<[string, unknown, RegExp]>([
    ["another method", { ...plain, peft_type: "IA3" }, /peft_type LORA, .* got "IA3"/],
    ["trained offsets", { ...plain, bias: "all" }, /bias "all" is not supported; "none" is/],
    ["DoRA", { ...plain, use_dora: true }, /use_dora true is not supported/],
    ["an alpha a layer", { ...plain, alpha_pattern: { query: 3 } }, /alpha_pattern gives layers a value of their own/],
    ["no rank", { ...plain, r: undefined }, /r, a whole number.*are wanted/],
    ["a pattern for target_modules", { ...plain, target_modules: ".*query" }, /target_modules, a list of names/],
    ["half a file", "{", /is not JSON/],
    ["a list", [], /a JSON object was wanted/],
  ])("with %s is refused", async (_, config, message) => {
    await expect(readAdapter(await folderWith(config))).rejects.toThrow(message);
  });

  test("that is missing is said to be", async () => {
    await expect(readAdapter(await temporaryFolder())).rejects.toThrow(/adapter_config\.json: does not exist/);
  });
});
