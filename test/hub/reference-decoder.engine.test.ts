// Decoders alone against the reference implementation: hidden states, logits, losses, gradients, AdamW, search.
import { beforeAll, describe, expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import { generate } from "../../src/decode/index.ts";
import { fromHub, loadHuggingFace, toHub, type HuggingFaceModel } from "../../src/hub/index.node.ts";
import { LanguageModel, LanguageModelDecoder, nextToken } from "../../src/models/index.ts";
import type { Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { compiled, ids } from "../models/any-model.ts";
import { expectGradients, expectTrace, session } from "./reference-training.ts";
import { decoderFolders, idTensor, readReference, type Reference, skipped, storedTensors } from "./reference.ts";

/** Of these the reference's training was not recorded. */
const forwardOnly = ["llama_ntk", "mistral", "mixtral", "bloom"];
const rates = ["resid_pdrop", "embd_pdrop", "attn_pdrop"];

for (const [name, folder] of Object.entries(decoderFolders)) {
  describe.skipIf(folder === undefined)(`${name}, against the reference implementation${skipped(folder)}`, () => {
    let reference: Reference;
    let loaded: HuggingFaceModel<LanguageModel>;
    beforeAll(async () => {
      reference = await readReference(folder!);
      loaded = await loadHuggingFace(folder!, { as: LanguageModel });
    });

    test("written again, every tensor is what was read, bit for bit", async () => {
      expect(toHub(loaded)).toEqual(await storedTensors(folder!));
    });

    test("logits, every hidden state and every attention agree within 1e-4 where the mask is 1", async () => {
      const { output, hidden, selfAttention } = loaded.model.forward(ids);
      const named: Record<string, Tensor> = { "out.logits": loaded.model.logits(output) };
      hidden.forEach((tensor, i) => (named[`out.hidden_states.${i}`] = tensor));
      if (reference.tensors.has("out.attentions.0"))
        selfAttention.forEach((tensor, i) => (named[`out.attentions.${i}`] = tensor!));
      await using run = await compiled(loaded.model, loaded.weights, { ids }, named);
      const results = await run.run({ ids: idTensor(reference.inputs.input_ids) });
      const expected = [...reference.tensors].filter(([tensor]) => tensor.startsWith("out.") && tensor !== "out.loss");
      expect(Object.keys(results).toSorted()).toEqual(expected.map(([tensor]) => tensor).toSorted());
      const mask = reference.inputs.attention_mask;
      for (const [tensor, { dims, data }] of expected) {
        const got = results[tensor]!;
        expect(got.dims, tensor).toEqual(dims);
        // Time is the second-last axis of states and of attention.
        const where = (i: number): boolean =>
          mask[Math.floor(i / (data.length / dims[0]!))]![Math.floor(i / dims.at(-1)!) % dims.at(-2)!] === 1;
        expectClose(got.data as Float32Array, data as Float32Array, { within: 1e-4, what: tensor, where });
      }
    });

    /** The batch with `pad` wherever there is no text; the reference takes what ends a text where it has no padding. */
    const filledWith = (pad: number) => {
      const { input_ids, attention_mask } = reference.inputs;
      return idTensor(input_ids.map((row, i) => row.map((id, at) => (attention_mask[i]![at] === 1 ? id : pad))));
    };

    const compared = () => {
      const labels = reference.inputs.labels.flatMap((row) => row.slice(1)).filter((id) => id !== -100).length;
      const feeds = { ids: filledWith(loaded.model.pad), tokenWeight: hostTensor("float32", [], [1 / labels]) };
      const isDivided = loaded.config.scale_attn_by_inverse_layer_idx === true;
      const factor = (parameter: string): number => {
        const found = /layers\.(\d+)\.selfAttention\.query\./.exec(parameter);
        return isDivided && found !== null ? 1 / (Number(found[1]) + 1) : 1;
      };
      return { reference, loaded, loss: (model: LanguageModel) => nextToken(model), feeds, factor };
    };

    test.skipIf(forwardOnly.includes(name))("the loss and the first gradient of every parameter agree", () =>
      expectGradients(compared()),
    );

    test.skipIf(forwardOnly.includes(name))("five AdamW steps pass through the reference's six losses", () =>
      expectTrace(compared(), { rates, as: LanguageModel }),
    );

    // Neither is in any text; bloom's texts hold the id of its padding.
    test.each([-1, 99])("the loss agrees where %i fills up the batch", async (pad) => {
      expect(reference.inputs.input_ids.flat()).not.toContain(pad);
      const { model, weights } = fromHub({ ...loaded.config, pad_token_id: pad }, toHub(loaded), { as: LanguageModel });
      const program = nextToken(model);
      await using run = await compiled(model, weights, program.inputs, { loss: program.loss });
      const feeds = { ...compared().feeds, ids: filledWith(pad) };
      const results = await run.run(feeds);
      expectClose(results.loss!.data as Float32Array, [reference.loss], { within: 1e-4, what: "loss" });
    });

    // The reference fills its batch up at the front; here each beginning is continued by itself.
    test.skipIf(name === "llama_ntk")("every generation agrees token for token, and scores within 1e-3", async () => {
      const decoder = new LanguageModelDecoder(loaded.model, loaded.weights, session);
      const { input_ids, attention_mask } = reference.generation_inputs;
      const beginnings = input_ids.map((row, i) => row.filter((_id, at) => attention_mask[i]![at] === 1));
      let compared = 0;
      for (const { kwargs, sequences, sequences_scores: scores } of reference.generation) {
        // Contrastive search is none of ours.
        if ("penalty_alpha" in kwargs) continue;
        const { pad_token_id: pad, num_return_sequences: each = 1 } = kwargs as Record<string, number>;
        const end = loaded.generationConfig.eos_token_id as number;
        for (const [i, beginning] of beginnings.entries()) {
          const config = { ...loaded.generationConfig, ...kwargs };
          const [found] = await generate(await decoder.start([beginning]), config, { prompts: [beginning] });
          const expected = sequences.slice(i * each, (i + 1) * each).map((row) => row.slice(input_ids[0]!.length));
          const got = found!.map(({ tokens, finished }) => [...tokens, ...(finished ? [end] : [])]);
          const padded = got.map((row, k) => [
            ...row,
            ...Array.from({ length: expected[k]!.length - row.length }, () => pad!),
          ]);
          expect(padded, `${JSON.stringify(kwargs)}, beginning ${i}`).toEqual(expected);
          if (scores !== undefined)
            expectClose(
              found!.map(({ score }) => score),
              scores.slice(i * each, (i + 1) * each),
              { within: 1e-3, what: `scores with ${JSON.stringify(kwargs)}` },
            );
          compared++;
        }
      }
      expect(compared).toBe(9);
      await decoder.dispose();
    });
  });
}
