// The whole chain against the reference implementation: loading, forward pass, loss, gradients, AdamW, search.
import { beforeAll, describe, expect, test } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { generate } from "../../src/decode/index.ts";
import { compile } from "../../src/engine/index.ts";
import { fromHub, loadHuggingFace, toHub, type HuggingFaceModel } from "../../src/hub/index.node.ts";
import { teacherForcing, Transformer, TransformerDecoder } from "../../src/models/index.ts";
import { namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { dim, input, withoutDropout, type Program, type Tensor } from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { expectGradients, expectTrace, session } from "./reference-training.ts";
import { idTensor, readReference, type Reference, referenceFolders, skipped } from "./reference.ts";

/** Everything the reference lists, under its names. */
function tracedProgram(model: Transformer): Program {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const targetIds = input("targetIds", "int32", [dim("batch"), dim("targetTime")]);
  const { encoder, decoder } = model.forward(sourceIds, targetIds);
  const outputs: Record<string, Tensor> = {
    "out.logits": model.logits(decoder.output),
    "out.encoder_last_hidden_state": encoder.memory,
  };
  const lists = {
    encoder_hidden_states: encoder.hidden,
    decoder_hidden_states: decoder.hidden,
    encoder_attentions: encoder.selfAttention,
    decoder_attentions: decoder.selfAttention,
    cross_attentions: decoder.crossAttention,
  };
  for (const [name, tensors] of Object.entries(lists))
    tensors.forEach((tensor, i) => (outputs[`out.${name}.${i}`] = tensor!));
  const parameters = parameterInputs(namedParameters(model));
  return withoutDropout({ name: "traced", inputs: { ...parameters, sourceIds, targetIds }, outputs });
}

/** The labels as whole targets: START, labels, padding where the reference ignores. */
function targetRows({ inputs }: Reference, pad: number): number[][] {
  return inputs.labels.map((row, i) => [
    inputs.decoder_input_ids[i]![0]!,
    ...row.map((id) => (id === -100 ? pad : id)),
  ]);
}

for (const [name, folder] of Object.entries(referenceFolders)) {
  describe.skipIf(folder === undefined)(`${name}, against the reference implementation${skipped(folder)}`, () => {
    let reference: Reference;
    let loaded: HuggingFaceModel<Transformer>;

    beforeAll(async () => {
      reference = await readReference(folder!);
      loaded = await loadHuggingFace(folder!, { as: Transformer });
    });

    test("logits, every hidden state and every attention agree within 1e-4 where the mask is 1", async () => {
      const run = await compile(tracedProgram(loaded.model), session);
      const { input_ids, attention_mask, decoder_input_ids } = reference.inputs;
      const results = await run.run({
        ...Object.fromEntries(loaded.weights),
        sourceIds: idTensor(input_ids),
        targetIds: idTensor(decoder_input_ids),
      });
      const mask = attention_mask.flat();
      const expected = [...reference.tensors].filter(([tensor]) => tensor.startsWith("out.") && tensor !== "out.loss");
      expect(Object.keys(results).toSorted()).toEqual(expected.map(([tensor]) => tensor).toSorted());
      for (const [tensor, { dims, data }] of expected) {
        const got = results[tensor]!;
        expect(got.dims, tensor).toEqual(dims);
        const sourceTime = input_ids[0]!.length;
        // Rows of an encoder's tensor: [batch, time, …] for states, [batch, heads, query, key] for attention.
        const rowOf = (i: number): number => {
          const row = Math.floor(i / dims.at(-1)!);
          const time = row % dims.at(-2)!;
          const batch = Math.floor(i / (data.length / dims[0]!));
          return batch * sourceTime + time;
        };
        const where = tensor.startsWith("out.encoder_") ? (i: number) => mask[rowOf(i)] === 1 : () => true;
        expectClose(got.data as Float32Array, data as Float32Array, { within: 1e-4, what: tensor, where });
      }
      await run.dispose();
    });

    describe("training", () => {
      const compared = () => {
        const labels = reference.inputs.labels.flat().filter((id) => id !== -100).length;
        const feeds = {
          sourceIds: idTensor(reference.inputs.input_ids),
          targetIds: idTensor(targetRows(reference, loaded.model.options.pad)),
          tokenWeight: hostTensor("float32", [], [1 / labels]),
        };
        const loss = (model: Transformer) => teacherForcing(model);
        return { reference, loaded, loss, feeds, untrained: ["final_logits_bias"] };
      };

      test("the loss and the first gradient of every parameter agree", () => expectGradients(compared()));

      test("five AdamW steps pass through the reference's six losses", () =>
        expectTrace(compared(), { rates: ["dropout", "attention_dropout", "activation_dropout"], as: Transformer }));
    });

    test("every generation agrees token for token, and scores within 1e-3", async () => {
      const decoder = new TransformerDecoder(loaded.model, loaded.weights, session);
      const sources = reference.generation_inputs.input_ids;
      const [start, end, pad] = ["decoder_start_token_id", "eos_token_id", "pad_token_id"].map(
        (key) => loaded.generationConfig[key] as number,
      );
      expect(reference.generation.length).toBeGreaterThan(3);
      for (const { kwargs, sequences, sequences_scores: scores } of reference.generation) {
        const stepper = await decoder.start(idTensor(sources));
        const found = (await generate(stepper, { ...loaded.generationConfig, ...kwargs }, { sources })).flat();
        const rows = found.map(({ tokens, finished }) => [start!, ...tokens, ...(finished ? [end!] : [])]);
        const longest = Math.max(...rows.map((row) => row.length));
        const padded = rows.map((row) => [...row, ...Array.from({ length: longest - row.length }, () => pad!)]);
        expect(padded, JSON.stringify(kwargs)).toEqual(sequences);
        if (scores !== undefined)
          expectClose(
            found.map(({ score }) => score),
            scores,
            { within: 1e-3, what: `scores with ${JSON.stringify(kwargs)}` },
          );
      }
      await decoder.dispose();
    });
  });
}

test("Marian with a vocabulary a language: the reference's logits, its target vocabulary turned around and made longer", async () => {
  const reference = await readReference(referenceFolders.marian!);
  const loaded = await loadHuggingFace(referenceFolders.marian!, { as: Transformer });
  const tensors = new Map<string, HostTensor>(toHub(loaded));
  const shared = tensors.get("model.shared.weight")!;
  const [size, width] = shared.dims as readonly [number, number];
  const longer = size + 5;
  const turned = ({ data }: HostTensor, columns: number): Float32Array => {
    const rows = new Float32Array(longer * columns).fill(0.25);
    for (let id = 0; id < size; id++)
      rows.set((data as Float32Array).subarray(id * columns, (id + 1) * columns), (longer - 1 - id) * columns);
    return rows;
  };
  tensors.delete("model.shared.weight");
  tensors.set("model.encoder.embed_tokens.weight", shared);
  tensors.set("model.decoder.embed_tokens.weight", hostTensor("float32", [longer, width], turned(shared, width)));
  tensors.set("final_logits_bias", hostTensor("float32", [1, longer], turned(tensors.get("final_logits_bias")!, 1)));
  const config = { ...loaded.config, share_encoder_decoder_embeddings: false, decoder_vocab_size: longer };
  const { model, weights } = fromHub(config, tensors, { as: Transformer });
  await using run = await compile(tracedProgram(model), session);
  const { input_ids, decoder_input_ids } = reference.inputs;
  const results = await run.run({
    ...Object.fromEntries(weights),
    sourceIds: idTensor(input_ids),
    targetIds: idTensor(decoder_input_ids.map((row) => row.map((id) => longer - 1 - id))),
  });
  const got = results["out.logits"]!.data as Float32Array;
  const expected = reference.tensors.get("out.logits")!.data as Float32Array;
  const back = expected.map((_, i) => got[Math.floor(i / size) * longer + longer - 1 - (i % size)]!);
  expectClose(back, expected, { within: 1e-4, what: "logits" });
});
