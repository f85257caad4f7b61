import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError, FormatError, hostTensor, type HostTensor } from "../../src/base/index.ts";
import { decodeSafetensors, writeSafetensors } from "../../src/formats/index.node.ts";
import { fromHub, loadHuggingFace, saveHuggingFace, toHub, type HubConfig } from "../../src/hub/index.node.ts";
import { sinusoidalTable } from "../../src/nn/index.ts";
import { referenceFolders } from "./reference.ts";

const marian = referenceFolders.marian!;
const bart = referenceFolders.bart!;
let folder: string;

beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "heddle-hub-"))));
afterEach(() => rm(folder, { recursive: true }));

async function readCheckpoint(
  from: string,
): Promise<{ config: Record<string, unknown>; tensors: Map<string, HostTensor> }> {
  const config = JSON.parse(await readFile(join(from, "config.json"), "utf8"));
  return {
    config,
    tensors: decodeSafetensors(new Uint8Array(await readFile(join(from, "model.safetensors")))).tensors,
  };
}

async function problemOf(action: Promise<unknown>): Promise<Error> {
  return action.then(
    () => expect.fail("nothing was thrown"),
    (error: unknown) => error as Error,
  );
}

describe("a folder read and written", () => {
  test.each([
    ["marian", marian],
    ["bart", bart],
  ])("%s's model.safetensors is the same byte for byte, and so are both configurations in meaning", async (_, from) => {
    await saveHuggingFace(join(folder, "new"), await loadHuggingFace(from));
    const [before, after] = await Promise.all(
      [from, join(folder, "new")].map((path) => readFile(join(path, "model.safetensors"))),
    );
    expect(after!.equals(before!)).toBe(true);
    for (const file of ["config.json", "generation_config.json"]) {
      const [old, saved] = await Promise.all(
        [from, join(folder, "new")].map(async (path): Promise<unknown> =>
          JSON.parse(await readFile(join(path, file), "utf8")),
        ),
      );
      expect(saved).toEqual(old);
    }
  });

  test("shards hold at most the bytes asked for, and together what one file holds", async () => {
    const loaded = await loadHuggingFace(bart);
    await saveHuggingFace(folder, { ...loaded, maxShardBytes: 150_000 });
    const names = await readdir(folder);
    expect(names.filter((name) => /^model-0000\d-of-00004\.safetensors$/.test(name))).toHaveLength(4);
    const index = JSON.parse(await readFile(join(folder, "model.safetensors.index.json"), "utf8"));
    expect(index.metadata.total_size).toBe(
      [...(await readCheckpoint(bart)).tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0),
    );
    const again = await loadHuggingFace(folder);
    expect(again.weights).toEqual(loaded.weights);
    expect(again.unusedRows).toEqual(loaded.unusedRows);
  });

  test("a folder that holds weights is not written over", async () => {
    const loaded = await loadHuggingFace(marian);
    await saveHuggingFace(folder, loaded);
    expect((await problemOf(saveHuggingFace(folder, loaded))).message).toContain("holds model.safetensors already");
  });

  test("settings of generation come from config.json where there is no generation_config.json", async () => {
    await cp(marian, folder, { recursive: true });
    await rm(join(folder, "generation_config.json"));
    const { generationConfig } = await loadHuggingFace(folder);
    expect(generationConfig).toEqual({
      bad_words_ids: [[130]],
      bos_token_id: 0,
      decoder_start_token_id: 130,
      eos_token_id: 0,
      forced_eos_token_id: 0,
      max_length: 24,
      num_beams: 4,
      pad_token_id: 130,
    });
  });
});

describe("a checkpoint in memory", () => {
  test("linear weights are transposed, the output's offset loses its axis, unused position rows are set aside", async () => {
    const { config, tensors } = await readCheckpoint(bart);
    const { weights, unusedRows } = fromHub(config, tensors);
    const stored = tensors.get("model.encoder.layers.1.fc1.weight")!;
    const ours = weights.get("encoder.layers.1.feedForward.expand.weight")!;
    expect([stored.dims, ours.dims]).toEqual([
      [96, 48],
      [48, 96],
    ]);
    expect(ours.data[5 * 96 + 70]).toBe(stored.data[70 * 48 + 5]);
    expect(weights.get("outputBias")!.dims).toEqual([140]);
    const positions = tensors.get("model.decoder.embed_positions.weight")!;
    expect([positions.dims, weights.get("target.positions.table")!.dims]).toEqual([
      [42, 48],
      [40, 48],
    ]);
    expect(unusedRows.get("target.positions.table")!.data).toEqual(positions.data.slice(0, 96));
    expect(weights.get("target.positions.table")!.data[0]).toBe(positions.data[96]);
  });

  test("16-bit floats are widened", async () => {
    const { config, tensors } = await readCheckpoint(marian);
    const name = "model.encoder.layers.0.self_attn.q_proj.bias";
    const halves = (dtype: "float16" | "bfloat16", one: number): HostTensor => ({
      dtype,
      dims: [48],
      data: new Uint16Array(48).fill(one),
    });
    for (const tensor of [halves("float16", 0x3c00), halves("bfloat16", 0x3f80)]) {
      const { weights } = fromHub(config, new Map([...tensors, [name, tensor]]));
      expect(weights.get("encoder.layers.0.selfAttention.query.bias")).toEqual(
        hostTensor("float32", [48], new Float32Array(48).fill(1)),
      );
    }
  });

  test("unused rows that were not given are written as zeros", async () => {
    const { config, tensors } = await readCheckpoint(bart);
    const { weights } = fromHub(config, tensors);
    const written = toHub({ config, weights }).get("model.encoder.embed_positions.weight")!.data;
    expect(written.slice(0, 96).every((value) => value === 0)).toBe(true);
    expect(written.slice(96)).toEqual(tensors.get("model.encoder.embed_positions.weight")!.data.slice(96));
  });

  test("copies of the tied table and the sinusoidal table are accepted", async () => {
    const { config, tensors } = await readCheckpoint(marian);
    const shared = tensors.get("model.shared.weight")!;
    const table = hostTensor("float32", [64, 48], sinusoidalTable({ dModel: 48, maxPositions: 64, layout: "halves" }));
    const copies = [
      ["lm_head.weight", shared],
      ["model.encoder.embed_tokens.weight", shared],
      ["model.decoder.embed_positions.weight", table],
    ] as const;
    expect(fromHub(config, new Map([...tensors, ...copies])).weights).toEqual(fromHub(config, tensors).weights);
  });

  test("a table that is tied in the model and differs in the file is refused", async () => {
    const { config, tensors } = await readCheckpoint(marian);
    const data = (tensors.get("model.shared.weight")!.data as Float32Array).slice();
    data[7]! += 0.01;
    const untied = new Map([...tensors, ["lm_head.weight", hostTensor("float32", [131, 48], data)]]);
    expect(() => fromHub(config, untied, { place: "here" })).toThrow(
      /^here, tensor "lm_head.weight": is \S+ at 7, where .* this file does not\.$/,
    );
  });
});

describe("what does not fit is an error that names it", () => {
  const bias = "model.encoder.layers.0.fc2.bias";
  const cases: [string, (tensors: Map<string, HostTensor>) => unknown, RegExp][] = [
    [
      "a missing tensor",
      (tensors) => tensors.delete(bias),
      /lacks 1 tensor, "model\.encoder\.layers\.0\.fc2\.bias" \[48\] \(our encoder\.layers\.0\.feedForward\.contract\.bias\)/,
    ],
    [
      "an unexpected tensor",
      (tensors) => tensors.set("classifier.weight", hostTensor("float32", [2], [1, 2])),
      /holds 1 tensor, "classifier\.weight" \[2\] that a model of type marian/,
    ],
    [
      "a wrong shape",
      (tensors) => tensors.set(bias, hostTensor("float32", [2], [1, 2])),
      /fc2\.bias": is \[2\], but config\.json asks for \[48\] \(our encoder\.layers\.0\.feedForward\.contract\.bias \[48\]\)/,
    ],
    [
      "whole numbers",
      (tensors) => tensors.set(bias, hostTensor("int32", [48], new Int32Array(48))),
      /fc2\.bias": float32, float16 or bfloat16 was wanted, got int32/,
    ],
  ];
  test.each(cases)("%s, in memory and in a folder", async (_, change, message) => {
    const { config, tensors } = await readCheckpoint(marian);
    change(tensors);
    expect(() => fromHub(config, tensors)).toThrow(message);
    await writeFile(join(folder, "config.json"), JSON.stringify(config));
    await writeSafetensors(join(folder, "model.safetensors"), tensors);
    const error = await problemOf(loadHuggingFace(folder));
    expect(error).toBeInstanceOf(FormatError);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(folder);
  });

  const configs: [string, HubConfig, RegExp][] = [
    [
      "an unknown family",
      { model_type: "rwkv" },
      /config\.json: model_type "rwkv" is not supported; bart, bert, .*, mixtral are/,
    ],
    ["no family", { model_type: undefined }, /model_type is missing/],
    [
      "an activation",
      { activation_function: "quick_gelu" },
      /activation_function "quick_gelu" is not supported; relu, gelu, gelu_new/,
    ],
    ["untied tables", { tie_word_embeddings: false }, /tie_word_embeddings false is not supported/],
    [
      "two vocabularies",
      { decoder_vocab_size: 140 },
      /decoder_vocab_size 140 is not supported for this family, only 131 is/,
    ],
    ["dropped layers", { decoder_layerdrop: 0.1 }, /decoder_layerdrop 0\.1/],
    ["a text for a number", { d_model: "48" }, /d_model must be a number \(got "48"\)/],
  ];
  test.each(configs)("%s in config.json", async (_, change, message) => {
    const { config, tensors } = await readCheckpoint(marian);
    expect(() => fromHub({ ...config, ...change }, tensors)).toThrow(message);
    expect(() => fromHub({ ...config, ...change }, tensors)).toThrow(ConfigError);
  });

  test("heads that do not divide the width", async () => {
    const { config, tensors } = await readCheckpoint(marian);
    expect(() => fromHub({ ...config, encoder_attention_heads: 7 }, tensors)).toThrow(
      /heads must divide dModel \(got heads 7, dModel 48\)/,
    );
  });

  test("a folder of another library's weights", async () => {
    await cp(join(marian, "config.json"), join(folder, "config.json"));
    await writeFile(join(folder, "pytorch_model.bin"), "");
    expect((await problemOf(loadHuggingFace(folder))).message).toMatch(
      /holds neither .* It has pytorch_model\.bin: convert the weights to safetensors first\.$/,
    );
  });

  test("a folder that is none, and a config.json that is no JSON", async () => {
    expect((await problemOf(loadHuggingFace(join(folder, "no")))).message).toMatch(/config\.json: does not exist/);
    await writeFile(join(folder, "config.json"), "{");
    expect((await problemOf(loadHuggingFace(folder))).message).toMatch(/config\.json: is not JSON/);
  });

  const indices: [string, (map: Record<string, string>) => unknown, RegExp][] = [
    [
      "leads out of the folder",
      (map) => (map[bias] = "../model-00001-of-00001.safetensors"),
      /must name a file in this folder/,
    ],
    [
      "names the wrong file",
      (map) => (map["no.such"] = "model-00001-of-00002.safetensors"),
      /says that tensor "no\.such" is in model-00001-of-00002\.safetensors, which does not hold it/,
    ],
    [
      "leaves a tensor out",
      (map) => delete map[bias],
      /does not list tensor "model\.encoder\.layers\.0\.fc2\.bias", which is in model-0000\d-of-00002/,
    ],
  ];
  test.each(indices)("an index of shards that %s", async (_, change, message) => {
    await saveHuggingFace(folder, { ...(await loadHuggingFace(marian)), maxShardBytes: 300_000 });
    const path = join(folder, "model.safetensors.index.json");
    const index = JSON.parse(await readFile(path, "utf8"));
    change(index.weight_map);
    await writeFile(path, JSON.stringify(index));
    expect((await problemOf(loadHuggingFace(folder))).message).toMatch(message);
  });

  test("weights that are not the model's are not written", async () => {
    const { config, tensors } = await readCheckpoint(marian);
    const { weights } = fromHub(config, tensors);
    expect(() => toHub({ config, weights: new Map([...weights, ["more", weights.get("outputBias")!]]) })).toThrow(
      /^more: the model that config\.json describes has no weight of this name/,
    );
    expect(() =>
      toHub({ config, weights: new Map([...weights, ["outputBias", hostTensor("float32", [1], [0])]]) }),
    ).toThrow(/outputBias: is float32 \[1\], but config\.json asks for float32 \[131\]/);
    expect(() => toHub({ config, weights: new Map([...weights].slice(1)) })).toThrow(
      /no weight of this name was given/,
    );
  });
});
