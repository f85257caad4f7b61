// Positions inside published architectures: the first layer of small checkpoints, built by hand around our attention, against the
// hidden states that Hugging Face transformers 4.37 computes. Fixtures and their tolerance: fixtures/hf/README.md.
import { readFileSync } from "node:fs";
import { describe, test } from "vitest";
import type { HostTensor } from "../../../src/base/index.ts";
import { compile } from "../../../src/engine/index.ts";
import { decodeSafetensors } from "../../../src/formats/index.ts";
import {
  AlibiPositions,
  AttentionScope,
  DynamicNtkScaling,
  namedParameters,
  RelativeBias,
  RotaryPositions,
  scaledDotProduct,
  silu,
  type AttentionPositions,
} from "../../../src/nn/index.ts";
import {
  add,
  dim,
  expand,
  gather,
  greater,
  input,
  layerNorm,
  matmul,
  mul,
  relu,
  reshape,
  rmsNorm,
  slice,
  tanh,
  transpose,
  type Dim,
  type Tensor,
} from "../../../src/tensor/index.ts";
import { expectClose } from "../../close.ts";
import { shared, sharedFile } from "../../shared.ts";

const within = 1e-4;

/** A checkpoint as a place to take weights from while tracing, and the batch that its expected states are for. */
class Fixture {
  readonly name: string;
  readonly ids: Tensor = input("ids", "int64", [dim("batch"), dim("time")]);
  readonly mask: Tensor;
  readonly #weights: ReadonlyMap<string, HostTensor>;
  readonly #expected: ReadonlyMap<string, HostTensor>;
  readonly #used = new Map<string, Tensor>();

  /** maskTime: the length that the attention mask is for, where it is not that of the ids. */
  constructor(name: string, maskTime: Dim = dim("time")) {
    this.name = name;
    this.mask = input("mask", "int64", [dim("batch"), maskTime]);
    const read = (file: string) =>
      decodeSafetensors(readFileSync(sharedFile("fixtures", "hf", name, file)), { place: file }).tensors;
    this.#weights = read("model.safetensors");
    this.#expected = read("expected.safetensors");
  }

  /** A weight by its Hugging Face name. */
  weight(name: string): Tensor {
    const { dims } = this.#weights.get(name)!;
    const tensor = this.#used.get(name) ?? input(name, "float32", dims);
    this.#used.set(name, tensor);
    return tensor;
  }

  /** Lets a learned table stand for a weight. */
  tie(name: string, tensor: Tensor): void {
    this.#used.set(name, tensor);
  }

  expected(name: string): HostTensor {
    return this.#expected.get(name)!;
  }

  /** x Wᵀ + b, as PyTorch keeps linear maps; without b where the checkpoint has none. */
  linear(x: Tensor, name: string): Tensor {
    const product = matmul(x, this.weight(`${name}.weight`), { transposeB: true });
    return this.#weights.has(`${name}.bias`) ? add(product, this.weight(`${name}.bias`)) : product;
  }

  rms(x: Tensor, name: string, epsilon: number): Tensor {
    return rmsNorm(x, this.weight(`${name}.weight`), { epsilon });
  }

  norm(x: Tensor, name: string, epsilon: number): Tensor {
    return layerNorm(x, this.weight(`${name}.weight`), this.weight(`${name}.bias`), { epsilon });
  }

  /** Compares a state [batch, time, dModel] with the expected one, where ids are no padding. */
  async expectState(
    output: Tensor,
    {
      state,
      ids = "in.input_ids",
      more = {},
    }: { state: string; ids?: string; more?: Readonly<Record<string, Tensor>> },
  ): Promise<void> {
    const feeds: Record<string, HostTensor> = { ids: this.expected(ids), mask: this.expected("in.attention_mask") };
    for (const name of this.#used.keys()) feeds[name] = this.#weights.get(name)!;
    for (const name of Object.keys(more)) feeds[name] = this.expected(name);
    const inputs = { ids: this.ids, mask: this.mask, ...more, ...Object.fromEntries(this.#used) };
    await using run = await compile({ name: this.name, inputs, outputs: { output } }, { threads: 1 });
    const got = (await run.run(feeds)).output!;
    const expected = this.expected(state);
    const width = expected.dims[2]!;
    const counts = ids === "in.input_ids" ? feeds.mask!.data : undefined;
    expectClose(got.data as Float32Array, expected.data as Float32Array, {
      within,
      what: `${this.name}: ${state}`,
      where: (i) => counts?.[Math.floor(i / width)] !== 0n,
    });
  }

  scope(positions: AttentionPositions, isCausal: boolean): AttentionScope {
    return new AttentionScope({ queryTime: dim("time"), isCausal, keys: greater(this.mask, 0), positions });
  }
}

const splitHeads = (x: Tensor, heads: number): Tensor => {
  const [batch, time, width] = x.shape as readonly [Dim, Dim, number];
  return transpose(reshape(x, [batch, time, heads, width / heads]), [0, 2, 1, 3]);
};

const mergeHeads = (x: Tensor): Tensor => {
  const [batch, heads, time, dHead] = x.shape as readonly [Dim, number, Dim, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, time, heads * dHead]);
};

/** Gives each query head its keys: [batch, groups, time, dHead] → [batch, heads, time, dHead]. */
const repeatGroups = (x: Tensor, heads: number): Tensor => {
  const [batch, groups, time, dHead] = x.shape as readonly [Dim, number, Dim, number];
  const repeated = expand(reshape(x, [batch, groups, 1, time, dHead]), [batch, groups, heads / groups, time, dHead]);
  return reshape(repeated, [batch, heads, time, dHead]);
};

const geluTanh = (x: Tensor): Tensor => {
  const inner = mul(add(x, mul(mul(mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
};

const suffix = shared === undefined ? " [skipped: set HEDDLE_SHARED]" : "";

describe.skipIf(shared === undefined)(`the first layer of published architectures${suffix}`, () => {
  test.each([
    ["llama", { heads: 8, groups: 2, dModel: 64, epsilon: 1e-4, theta: 2500 }],
    [
      "llama_ntk",
      {
        heads: 4,
        groups: 1,
        dModel: 32,
        epsilon: 1e-5,
        theta: 10_000,
        scaling: new DynamicNtkScaling({ factor: 2, originalMaxPositions: 16 }),
      },
    ],
  ])("%s: rotary halves under grouped heads", async (name, { heads, groups, dModel, epsilon, theta, ...scaled }) => {
    const from = new Fixture(name);
    const positions = new RotaryPositions({ dHead: dModel / heads, theta, ...scaled });
    const scope = from.scope(positions, true);
    const at = "model.layers.0";
    const x = gather(from.weight("model.embed_tokens.weight"), from.ids);
    const normed = from.rms(x, `${at}.input_layernorm`, epsilon);
    const [query, key, value] = (["q", "k", "v"] as const).map((part) =>
      splitHeads(from.linear(normed, `${at}.self_attn.${part}_proj`), part === "q" ? heads : groups),
    ) as [Tensor, Tensor, Tensor];
    const turnedKey = repeatGroups(scope.turnKey(key), heads);
    const { context } = scaledDotProduct(scope.turnQuery(query), turnedKey, repeatGroups(value, heads), {
      bias: scope.bias,
    });
    const attended = add(x, from.linear(mergeHeads(context), `${at}.self_attn.o_proj`));
    const hidden = from.rms(attended, `${at}.post_attention_layernorm`, epsilon);
    const gated = mul(silu(from.linear(hidden, `${at}.mlp.gate_proj`)), from.linear(hidden, `${at}.mlp.up_proj`));
    await from.expectState(add(attended, from.linear(gated, `${at}.mlp.down_proj`)), { state: "out.hidden_states.1" });
  });

  test("gptj: rotary in interleaved pairs on 8 of 12 numbers of each head", async () => {
    const from = new Fixture("gptj");
    const [heads, dHead] = [4, 12];
    const scope = from.scope(new RotaryPositions({ dHead, dimensions: 8, layout: "interleaved" }), true);
    const at = "transformer.h.0";
    const x = gather(from.weight("transformer.wte.weight"), from.ids);
    const normed = from.norm(x, `${at}.ln_1`, 1e-5);
    const [query, key, value] = (["q", "k", "v"] as const).map((part) =>
      splitHeads(from.linear(normed, `${at}.attn.${part}_proj`), heads),
    ) as [Tensor, Tensor, Tensor];
    const { context } = scaledDotProduct(scope.turnQuery(query), scope.turnKey(key), value, { bias: scope.bias });
    const attended = from.linear(mergeHeads(context), `${at}.attn.out_proj`);
    const fed = from.linear(geluTanh(from.linear(normed, `${at}.mlp.fc_in`)), `${at}.mlp.fc_out`);
    await from.expectState(add(x, add(attended, fed)), { state: "out.hidden_states.1" });
  });

  test("bloom: ALiBi with 6 heads, which is no power of two", async () => {
    const from = new Fixture("bloom");
    const [heads, dHead, epsilon] = [6, 8, 1e-4];
    const scope = from.scope(new AlibiPositions({ heads }), true);
    const at = "transformer.h.0";
    const embedded = gather(from.weight("transformer.word_embeddings.weight"), from.ids);
    const x = from.norm(embedded, "transformer.word_embeddings_layernorm", epsilon);
    const fused = from.linear(from.norm(x, `${at}.input_layernorm`, epsilon), `${at}.self_attention.query_key_value`);
    // [batch, time, heads · 3 · dHead] → [3, batch, heads, time, dHead]
    const parts = transpose(reshape(fused, [dim("batch"), dim("time"), heads, 3, dHead]), [3, 0, 2, 1, 4]);
    const [query, key, value] = [0, 1, 2].map((part) =>
      reshape(slice(parts, { axis: 0, start: part, end: part + 1 }), [dim("batch"), heads, dim("time"), dHead]),
    ) as [Tensor, Tensor, Tensor];
    const { context } = scaledDotProduct(query, key, value, { bias: scope.bias });
    const attended = add(x, from.linear(mergeHeads(context), `${at}.self_attention.dense`));
    const normed = from.norm(attended, `${at}.post_attention_layernorm`, epsilon);
    const fed = from.linear(geluTanh(from.linear(normed, `${at}.mlp.dense_h_to_4h`)), `${at}.mlp.dense_4h_to_h`);
    await from.expectState(add(attended, fed), { state: "out.hidden_states.1" });
  });

  describe.each(["t5", "t5_v1_1"])("%s", (name) => {
    const [heads, dHead, epsilon] = [5, 12, 1e-5];
    const memory = input("out.encoder_last_hidden_state", "float32", [dim("batch"), dim("sourceTime"), 40]);

    /** T5 does not scale its scores, so √dHead takes the scale back. */
    function attend(from: Fixture, x: Tensor, at: string, bias: Tensor | undefined, keys: Tensor = x): Tensor {
      const query = mul(splitHeads(from.linear(x, `${at}.q`), heads), Math.sqrt(dHead));
      const [key, value] = ["k", "v"].map((part) => splitHeads(from.linear(keys, `${at}.${part}`), heads));
      const { context } = scaledDotProduct(query, key!, value!, { bias });
      return from.linear(mergeHeads(context), `${at}.o`);
    }

    function feedForward(from: Fixture, x: Tensor, at: string): Tensor {
      const normed = from.rms(x, `${at}.layer_norm`, epsilon);
      const part = (wi: string): Tensor => from.linear(normed, `${at}.DenseReluDense.${wi}`);
      const hidden = name === "t5" ? relu(part("wi")) : mul(geluTanh(part("wi_0")), part("wi_1"));
      return add(x, from.linear(hidden, `${at}.DenseReluDense.wo`));
    }

    function relativeBias(from: Fixture, at: string, bidirectional: boolean): RelativeBias {
      const positions = new RelativeBias({ heads, buckets: 12, maxDistance: 16, bidirectional });
      from.tie(`${at}.relative_attention_bias.weight`, namedParameters(positions).get("table")!.value);
      return positions;
    }

    test("encoder: relative bias to both sides, beyond the largest distance", async () => {
      const from = new Fixture(name);
      const at = "encoder.block.0.layer";
      const scope = from.scope(relativeBias(from, `${at}.0.SelfAttention`, true), false);
      const x = gather(from.weight("shared.weight"), from.ids);
      const normed = from.rms(x, `${at}.0.layer_norm`, epsilon);
      const attended = add(x, attend(from, normed, `${at}.0.SelfAttention`, scope.bias));
      await from.expectState(feedForward(from, attended, `${at}.1`), { state: "out.encoder_hidden_states.1" });
    });

    test("decoder: relative bias to the past, and none across", async () => {
      const from = new Fixture(name, dim("sourceTime"));
      const at = "decoder.block.0.layer";
      const positions = relativeBias(from, `${at}.0.SelfAttention`, false);
      const own = new AttentionScope({ queryTime: dim("time"), isCausal: true, positions });
      const across = new AttentionScope({
        queryTime: dim("time"),
        keyTime: dim("sourceTime"),
        keys: greater(from.mask, 0),
      });
      const x = gather(from.weight("shared.weight"), from.ids);
      const normed = from.rms(x, `${at}.0.layer_norm`, epsilon);
      const attended = add(x, attend(from, normed, `${at}.0.SelfAttention`, own.bias));
      const asking = from.rms(attended, `${at}.1.layer_norm`, epsilon);
      const informed = add(attended, attend(from, asking, `${at}.1.EncDecAttention`, across.bias, memory));
      await from.expectState(feedForward(from, informed, `${at}.2`), {
        state: "out.decoder_hidden_states.1",
        ids: "in.decoder_input_ids",
        more: { "out.encoder_last_hidden_state": memory },
      });
    });
  });
});
