// Encoders and decoders alone: which class a folder is, older names, files that hold more, and what cannot be honoured.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError, hostTensor, type HostTensor } from "../../src/base/index.ts";
import { decodeSafetensors } from "../../src/formats/index.node.ts";
import { fromHub, loadHuggingFace, saveHuggingFace, toHub, type HubConfig } from "../../src/hub/index.node.ts";
import {
  LanguageModel,
  MaskedLanguageModel,
  TextClassifier,
  TextEncoder,
  TokenClassifier,
  Transformer,
} from "../../src/models/index.ts";
import { initialize, namedParameters } from "../../src/nn/index.ts";
import { decoderFolders, encoderFolders } from "./reference.ts";

const folders = { bert: encoderFolders.bert_mlm!, gpt2: decoderFolders.gpt2!, llama: decoderFolders.llama! };

interface Checkpoint {
  config: Record<string, unknown>;
  tensors: Map<string, HostTensor>;
}

async function read(family: keyof typeof folders): Promise<Checkpoint> {
  const file = (name: string) => readFile(join(folders[family], name));
  return {
    config: JSON.parse((await file("config.json")).toString("utf8")),
    tensors: decodeSafetensors(new Uint8Array(await file("model.safetensors"))).tensors,
  };
}

const renamed = ({ tensors }: Checkpoint, rename: (name: string) => string): Map<string, HostTensor> =>
  new Map([...tensors].map(([name, tensor]) => [rename(name), tensor]));

describe("a folder read and written", () => {
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "heddle-hub-"))));
  afterEach(() => rm(folder, { recursive: true }));

  test.each(Object.entries(folders))("%s's model.safetensors is the same byte for byte", async (_, from) => {
    await saveHuggingFace(join(folder, "new"), await loadHuggingFace(from));
    const [before, after] = await Promise.all(
      [from, join(folder, "new")].map((path) => readFile(join(path, "model.safetensors"))),
    );
    expect(after!.equals(before!)).toBe(true);
  });
});

describe("the class of a model", () => {
  test.each([
    ["BertForMaskedLM", MaskedLanguageModel],
    ["BertForPreTraining", MaskedLanguageModel],
    ["BertModel", TextEncoder],
    ["BertForSequenceClassification", TextClassifier],
    ["BertForTokenClassification", TokenClassifier],
    ["BertForQuestionAnswering", TokenClassifier],
  ])("is the one that config.json names: %s", async (architecture, wanted) => {
    const { config } = await read("bert");
    const named = { ...config, architectures: [architecture] };
    // Whatever the class, what it writes it reads again.
    const { model } = fromHub(named, blankTensors(named));
    expect(model).toBeInstanceOf(wanted);
    expect(fromHub(named, blankTensors(named), { as: wanted as typeof TextEncoder }).model).toBeInstanceOf(wanted);
  });

  test("is refused where another one is wanted", async () => {
    const { config, tensors } = await read("gpt2");
    expect(() => fromHub(config, tensors, { as: Transformer })).toThrow(
      /^config\.json: describes a LanguageModel \(model_type "gpt2", architectures \["GPT2LMHeadModel"\]\), but a Transformer is wanted\.$/,
    );
    expect(() => fromHub(config, tensors, { as: LanguageModel })).not.toThrow();
  });

  test("has as many classes as there are labels, two where none are named", async () => {
    const { config } = await read("bert");
    const named = { ...config, architectures: ["BertForTokenClassification"] };
    const classes = (change: HubConfig) =>
      (fromHub({ ...named, ...change }, blankTensors({ ...named, ...change })).model as TokenClassifier).output.weight
        .shape[1];
    expect(classes({ id2label: { 0: "O", 1: "B", 2: "I" } })).toBe(3);
    expect(classes({})).toBe(2);
  });
});

/** First values for whichever of BERT's classes a config.json names, as tensors of a file. */
function blankTensors(config: HubConfig): Map<string, HostTensor> {
  const { vocab_size: vocabularySize, hidden_size: dModel } = config as Record<string, number>;
  const { num_attention_heads: heads, num_hidden_layers: layers } = config as Record<string, number>;
  const encoder = new TextEncoder({
    vocabularySize: vocabularySize!,
    dModel: dModel!,
    heads: heads!,
    layers: layers!,
    dFeedForward: config.intermediate_size as number,
    maxPositions: config.max_position_embeddings as number,
    segments: config.type_vocab_size as number,
  });
  const classes = Object.keys(config.id2label ?? { 0: "", 1: "" }).length;
  const models: Record<string, () => TextEncoder | MaskedLanguageModel | TextClassifier | TokenClassifier> = {
    BertModel: () => encoder,
    BertForMaskedLM: () => new MaskedLanguageModel(encoder),
    BertForPreTraining: () => new MaskedLanguageModel(encoder),
    BertForSequenceClassification: () => new TextClassifier({ encoder, classes }),
    BertForTokenClassification: () => new TokenClassifier({ encoder, classes }),
    BertForQuestionAnswering: () => new TokenClassifier({ encoder, classes: 2 }),
  };
  const [architecture] = config.architectures as [string];
  return toHub({ config, weights: initialize(namedParameters(models[architecture]!()), 1) });
}

describe("files of other times and tools", () => {
  test("BERT: norms' gamma and beta, a pooler and a second head that are not asked for, positions' numbers, tied copies", async () => {
    const checkpoint = await read("bert");
    const { config, tensors } = checkpoint;
    const plain = fromHub(config, tensors);
    const older = renamed(checkpoint, (name) =>
      name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
    );
    for (const [name, dims] of [
      ["bert.pooler.dense.weight", [48, 48]],
      ["cls.seq_relationship.bias", [2]],
    ] as const)
      older.set(name, hostTensor("float32", dims, new Float32Array(dims.reduce((a: number, b) => a * b, 1))));
    older.set("bert.embeddings.position_ids", hostTensor("int64", [1, 2], BigInt64Array.of(0n, 1n)));
    older.set("cls.predictions.decoder.weight", tensors.get("bert.embeddings.word_embeddings.weight")!);
    older.set("cls.predictions.decoder.bias", tensors.get("cls.predictions.bias")!);
    expect(fromHub(config, older).weights).toEqual(plain.weights);
    older.set("cls.predictions.decoder.weight", hostTensor("float32", [120, 48], new Float32Array(120 * 48)));
    expect(() => fromHub(config, older)).toThrow(/its model ties the two, this file does not/);
  });

  test("BERT without its head, under names without a prefix", async () => {
    const checkpoint = await read("bert");
    const config = { ...checkpoint.config, architectures: ["BertModel"] };
    const bare = renamed(checkpoint, (name) => name.replace(/^bert\./, ""));
    const { weights, model } = fromHub(config, bare, { as: TextEncoder });
    expect([...weights.keys()].toSorted()).toEqual([...namedParameters(model).keys()].toSorted());
    expect(weights.get("input.embedding.table")!.data).toEqual(
      checkpoint.tensors.get("bert.embeddings.word_embeddings.weight")!.data,
    );
  });

  test("GPT-2: names without a prefix, causal masks in the file, the tied table again", async () => {
    const checkpoint = await read("gpt2");
    const older = renamed(checkpoint, (name) => name.replace(/^transformer\./, ""));
    older.set("h.0.attn.bias", hostTensor("float32", [1, 1, 2, 2], [1, 0, 1, 1]));
    older.set("h.1.attn.masked_bias", hostTensor("float32", [], [-10_000]));
    older.set("lm_head.weight", checkpoint.tensors.get("transformer.wte.weight")!);
    expect(fromHub(checkpoint.config, older).weights).toEqual(fromHub(checkpoint.config, checkpoint.tensors).weights);
  });

  test("GPT-2: query, key and value lie side by side in one tensor, and queries of a scaled layer are divided", async () => {
    const { config, tensors } = await read("gpt2");
    const { weights } = fromHub(config, tensors);
    const stored = tensors.get("transformer.h.1.attn.c_attn.weight")!.data; // [48, 3 · 48]
    for (const [i, name] of ["query", "key", "value"].entries()) {
      const ours = weights.get(`decoder.layers.1.selfAttention.${name}.weight`)!.data;
      expect(ours[5 * 48 + 7]).toBe((stored[5 * 144 + i * 48 + 7]! as number) * (i === 0 ? 0.5 : 1));
    }
    const plain = fromHub({ ...config, scale_attn_by_inverse_layer_idx: false }, tensors).weights;
    expect(plain.get("decoder.layers.1.selfAttention.query.weight")!.data[5 * 48 + 7]).toBe(stored[5 * 144 + 7]);
  });

  test("Llama: speeds of rotation in the file; a table for the output, tied where config.json says so", async () => {
    const { config, tensors } = await read("llama");
    const older = new Map(tensors).set(
      "model.layers.0.self_attn.rotary_emb.inv_freq",
      hostTensor("float32", [4], [1, 2, 3, 4]),
    );
    expect(fromHub(config, older).weights).toEqual(fromHub(config, tensors).weights);
    const tied = { ...config, tie_word_embeddings: true };
    const table = tensors.get("model.embed_tokens.weight")!;
    const { model, weights } = fromHub(tied, new Map(older).set("lm_head.weight", table), { as: LanguageModel });
    expect(model.options.tying).toBe(true);
    expect(weights.has("output.table")).toBe(false);
    expect(() => fromHub(tied, tensors)).toThrow(/its model ties the two/);
  });

  test("a tensor that is missing is named with the parts of ours that it holds", async () => {
    const { config, tensors } = await read("gpt2");
    tensors.delete("transformer.h.0.attn.c_attn.bias");
    expect(() => fromHub(config, tensors)).toThrow(
      /lacks .*"transformer\.h\.0\.attn\.c_attn\.bias" \[144\] \(our decoder\.layers\.0\.selfAttention\.query\.bias\)/,
    );
  });
});

describe("what cannot be honoured is an error", () => {
  const cases: [keyof typeof folders, HubConfig, RegExp][] = [
    ["bert", { position_embedding_type: "relative_key" }, /position_embedding_type "relative_key" is not supported/],
    ["bert", { is_decoder: true }, /is_decoder true is not supported/],
    [
      "bert",
      { architectures: ["BertForNextSentencePrediction"] },
      /architectures \["BertForNext.*one of BertModel, BertForMaskedLM/,
    ],
    ["bert", { architectures: undefined }, /architectures undefined is not supported/],
    ["bert", { hidden_act: "mish" }, /hidden_act "mish" is not supported/],
    ["gpt2", { add_cross_attention: true }, /add_cross_attention true/],
    ["gpt2", { scale_attn_weights: false }, /scale_attn_weights false/],
    ["gpt2", { architectures: ["GPT2DoubleHeadsModel"] }, /architectures \["GPT2Double/],
    [
      "llama",
      { rope_scaling: { rope_type: "llama3", factor: 8 } },
      /rope_scaling \{"rope_type":"llama3","factor":8\} is not supported/,
    ],
    ["llama", { head_dim: 16 }, /head_dim 16 is not supported for this family, only 8 is/],
    ["llama", { mlp_bias: true }, /mlp_bias true/],
    ["llama", { hidden_act: "relu" }, /hidden_act "relu" is not supported/],
    ["llama", { pad_token_id: "<pad>" }, /pad_token_id must be a number/],
  ];
  test.each(cases)("%s with %j", async (family, change, message) => {
    const { config, tensors } = await read(family);
    expect(() => fromHub({ ...config, ...change }, tensors)).toThrow(message);
    expect(() => fromHub({ ...config, ...change }, tensors)).toThrow(ConfigError);
  });
});

test("padding is what config.json says, else an id that no text holds", async () => {
  const { config, tensors } = await read("llama");
  const pad = (change: HubConfig) => fromHub({ ...config, ...change }, tensors, { as: LanguageModel }).model.pad;
  expect(pad({ pad_token_id: 7 })).toBe(7);
  expect(pad({ pad_token_id: null })).toBe(-1);
});
