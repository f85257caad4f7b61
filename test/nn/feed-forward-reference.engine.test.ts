// Feed-forward layers against blocks of reference checkpoints (huggingface/transformers 4.37, see the fixtures' README). What
// comes before the layer in its block is worked out in plain double precision.
import { describe, expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import { ExpertsFeedForward, FeedForward, GatedFeedForward, Pass, PassReports } from "../../src/nn/index.ts";
import { dim, input, softmax, topK } from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { shared } from "../shared.ts";
import { runModule, validRows, type Weights } from "./module-program.ts";
import {
  llamaAttention,
  plus,
  readCheckpoint,
  rmsNorm,
  sentence,
  t5Attention,
  turned,
  type Checkpoint,
  type Rows,
} from "./reference-blocks.ts";

const missing = shared === undefined ? " [skipped: set HEDDLE_SHARED]" : "";

/** Sentences of unlike lengths as one padded array, padding filled with ones. */
function padded(sentences: readonly Rows[], time: number) {
  const width = sentences[0]![0]!.length;
  const rows = sentences.flatMap((rows) => [
    ...rows,
    ...Array.from({ length: time - rows.length }, () => Array.from({ length: width }, () => 1)),
  ]);
  return hostTensor("float32", [sentences.length, time, width], rows.flat());
}

/** What stands before and after layer `layer`'s feed-forward part in a llama-like model: h and h + layer(norm(h)). */
function llamaBlock(checkpoint: Checkpoint, layer: number): { before: number[][][]; given: number[][][] } {
  const { config, weights, expected, lengths } = checkpoint;
  const prefix = `model.layers.${layer}.`;
  const norm = (x: Rows, name: string) => rmsNorm(x, weights.get(`${prefix}${name}.weight`)!, config.rms_norm_eps!);
  const before = lengths.map((length, row) => {
    const x = sentence(expected.get(`out.hidden_states.${layer}`)!, row, length);
    return plus(x, llamaAttention(checkpoint, `${prefix}self_attn.`, norm(x, "input_layernorm")));
  });
  return { before, given: before.map((x) => norm(x, "post_attention_layernorm")) };
}

describe.skipIf(shared === undefined)(`blocks of reference checkpoints${missing}`, () => {
  test("llama's feed-forward layer is SwiGLU", async () => {
    const checkpoint = await readCheckpoint("llama");
    const { config, weights, expected, lengths } = checkpoint;
    const [dModel, dFeedForward] = [config.hidden_size!, config.intermediate_size!];
    const layer = new GatedFeedForward({ dModel, dFeedForward });
    const { before, given } = llamaBlock(checkpoint, 0);
    const of = (name: string) => turned(weights.get(`model.layers.0.mlp.${name}_proj.weight`)!);
    const own: Weights = new Map([
      ["gate.weight", of("gate")],
      ["expand.weight", of("up")],
      ["contract.weight", of("down")],
    ]);
    const x = input("x", "float32", [dim("batch"), dim("time"), dModel]);
    const program = { inputs: { x }, outputs: { y: layer.forward(x) } };
    const { y } = await runModule(layer, program, { x: padded(given, 12) }, { weights: own });
    for (const [row, length] of lengths.entries()) {
      const after = plus(before[row]!, sentence(y!, row, length)).flat();
      expectClose(after, sentence(expected.get("out.hidden_states.1")!, row, length).flat(), { within: 1e-4 });
    }
  });

  test("mixtral's are two SwiGLU experts of four, their gates renormalised", async () => {
    const checkpoint = await readCheckpoint("mixtral");
    const { config, weights, expected, lengths } = checkpoint;
    const [dModel, dFeedForward] = [config.hidden_size!, config.intermediate_size!];
    const experts = config.num_local_experts!;
    const expert = () => new GatedFeedForward({ dModel, dFeedForward });
    const layer = new ExpertsFeedForward({ dModel, experts, chosen: config.num_experts_per_tok!, expert });
    const { before, given } = llamaBlock(checkpoint, 0);
    const of = (name: string) => turned(weights.get(`model.layers.0.block_sparse_moe.${name}.weight`)!);
    const own: Weights = new Map([["router.weight", of("gate")]]);
    for (let i = 0; i < experts; i++) {
      own.set(`experts.${i}.gate.weight`, of(`experts.${i}.w1`));
      own.set(`experts.${i}.expand.weight`, of(`experts.${i}.w3`));
      own.set(`experts.${i}.contract.weight`, of(`experts.${i}.w2`));
    }
    const x = input("x", "float32", [dim("batch"), dim("time"), dModel]);
    const valid = input("valid", "bool", [dim("batch"), dim("time")]);
    const program = { inputs: { x, valid }, outputs: { y: layer.forward(x, new Pass(valid)) } };
    const feeds = { x: padded(given, 12), valid: validRows(lengths, 12) };
    const { y } = await runModule(layer, program, feeds, { weights: own, inference: true });
    for (const [row, length] of lengths.entries()) {
      const after = plus(before[row]!, sentence(y!, row, length)).flat();
      expectClose(after, sentence(expected.get("out.hidden_states.1")!, row, length).flat(), { within: 1e-4 });
    }
  });

  test("switch's are one ReLU expert of four; routing, gates and what each token gets agree", async () => {
    const checkpoint = await readCheckpoint("switch");
    const { config, weights, expected, lengths } = checkpoint;
    const [dModel, dFeedForward, experts] = [config.d_model!, config.d_ff!, config.num_experts!];
    const expert = () => new FeedForward({ dModel, dFeedForward, bias: false });
    const layer = new ExpertsFeedForward({ dModel, experts, expert, capacityFactor: experts, balance: 1, routerZ: 1 });
    const prefix = "encoder.block.1.layer.";
    const norm = (x: Rows, part: number) =>
      rmsNorm(x, weights.get(`${prefix}${part}.layer_norm.weight`)!, config.layer_norm_epsilon!);
    const before = lengths.map((length, row) => {
      const x = sentence(expected.get("out.encoder_hidden_states.1")!, row, length);
      return plus(x, t5Attention(checkpoint, `${prefix}0.SelfAttention.`, norm(x, 0)));
    });
    const of = (name: string) => turned(weights.get(`${prefix}1.mlp.${name}.weight`)!);
    const own: Weights = new Map([["router.weight", of("router.classifier")]]);
    for (let i = 0; i < experts; i++) {
      own.set(`experts.${i}.expand.weight`, of(`experts.expert_${i}.wi`));
      own.set(`experts.${i}.contract.weight`, of(`experts.expert_${i}.wo`));
    }
    const x = input("x", "float32", [dim("batch"), dim("time"), dModel]);
    const valid = input("valid", "bool", [dim("batch"), dim("time")]);
    const { ids } = topK(softmax(layer.router.forward(x)), 1);
    const reports = new PassReports();
    const program = { inputs: { x, valid }, outputs: { y: layer.forward(x, new Pass(valid, reports)), ids } };
    const feeds = {
      x: padded(
        before.map((rows) => norm(rows, 1)),
        14,
      ),
      valid: validRows(lengths, 14),
    };
    const { y, ids: chosen } = await runModule(layer, program, feeds, { weights: own });
    // The reference counts capacity in each row by itself, and lets a token that found none through unchanged but for its
    // gate; ours leaves zeros. So tokens from the row's seventh of one expert on are not compared.
    let compared = 0;
    for (const [row, length] of lengths.entries()) {
      const after = plus(before[row]!, sentence(y!, row, length));
      const wanted = sentence(expected.get("out.encoder_hidden_states.2")!, row, length);
      const taken = Array.from({ length: experts }, () => 0);
      for (let i = 0; i < length; i++) {
        const id = Number(chosen!.data[row * 14 + i]);
        if (++taken[id]! > config.expert_capacity!) continue;
        expectClose(after[i]!, wanted[i]!, { within: 1e-4, what: `row ${row}, token ${i}, expert ${id}` });
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(20);
  });
});
