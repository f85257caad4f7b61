// BERT and its heads against the reference implementation: hidden states, answers, losses, gradients, AdamW.
import { beforeAll, describe, expect, test } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { loadHuggingFace, toHub, type HuggingFaceModel } from "../../src/hub/index.node.ts";
import {
  labelledTokens,
  MaskedLanguageModel,
  maskedTokens,
  TextClassifier,
  TokenClassifier,
  type LossProgram,
  type TextEncoderTrace,
} from "../../src/models/index.ts";
import type { Module } from "../../src/nn/index.ts";
import {
  add,
  exp,
  input,
  log,
  logSoftmax,
  mul,
  neg,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
} from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { compiled, ids, segmentIds } from "../models/any-model.ts";
import { expectGradients, expectTrace } from "./reference-training.ts";
import { encoderFolders, idTensor, readReference, type Reference, skipped, storedTensors } from "./reference.ts";

/** What the reference computes from one of its classes. */
interface Compared<Model extends Module> {
  readonly as: abstract new (...parts: never[]) => Model;
  readonly outputs: (
    model: Model,
  ) => TextEncoderTrace & Readonly<Record<string, unknown>> & { readonly answers: Answers };
  readonly loss: (model: Model) => LossProgram;
  readonly feeds: (reference: Reference) => Readonly<Record<string, HostTensor>>;
}

/** By the reference's names, without `out.`. */
type Answers = Readonly<Record<string, Tensor>>;

const [batch] = ids.shape;
const rows = (reference: Reference): number => reference.inputs.input_ids.length;
const counted = (labels: readonly (readonly number[])[]): number => labels.flat().filter((id) => id !== -100).length;

const masked: Compared<MaskedLanguageModel> = {
  as: MaskedLanguageModel,
  outputs: (model) => {
    const trace = model.forward(ids, segmentIds);
    return { ...trace, answers: { logits: model.logits(trace.prediction) } };
  },
  loss: maskedTokens,
  feeds: ({ inputs }) => ({
    labels: idTensor(inputs.labels),
    tokenWeight: hostTensor("float32", [], [1 / counted(inputs.labels)]),
  }),
};

/** Mean over texts and classes of ln(1 + eˣ) − y x: binary cross-entropy. */
const multilabel: Compared<TextClassifier> = {
  as: TextClassifier,
  outputs: (model) => {
    const trace = model.forward(ids, segmentIds);
    return { ...trace, answers: { logits: trace.logits } };
  },
  loss: (model) => {
    const labels = input("labels", "float32", [batch!, 5]);
    const weight = input("weight", "float32", []);
    const { logits } = model.forward(ids, segmentIds);
    const losses = sub(log(add(exp(logits), 1)), mul(labels, logits));
    return { inputs: { ids, segmentIds, labels, weight }, loss: mul(sum(losses), weight), figures: {} };
  },
  feeds: (reference) => ({
    labels: reference.tensors.get("in.labels")!,
    weight: hostTensor("float32", [], [1 / (rows(reference) * 5)]),
  }),
};

const token: Compared<TokenClassifier> = {
  as: TokenClassifier,
  outputs: (model) => {
    const trace = model.forward(ids, segmentIds);
    return { ...trace, answers: { logits: trace.logits } };
  },
  loss: labelledTokens,
  feeds: ({ inputs: { labels } }) => ({
    labels: idTensor(labels),
    tokenWeight: hostTensor("float32", [], [1 / counted(labels)]),
  }),
};

/** −ln p of one class a row, p the softmax over the last axis; `labels` holds a one at the class and zeros elsewhere. */
function likelihood(logits: Tensor, labels: Tensor): Tensor {
  return neg(sum(mul(logSoftmax(logits), labels)));
}

/** Logits of the first and of the last token of an answer: [batch, time] each. */
function spans(logits: Tensor): Answers {
  const column = (i: number): Tensor => reshape(slice(logits, { axis: 2, start: i, end: i + 1 }), ids.shape);
  return { start_logits: column(0), end_logits: column(1) };
}

const answers: Compared<TokenClassifier> = {
  as: TokenClassifier,
  outputs: (model) => {
    const trace = model.forward(ids, segmentIds);
    return { ...trace, answers: spans(trace.logits) };
  },
  loss: (model) => {
    const [start, end] = [input("start", "float32", ids.shape), input("end", "float32", ids.shape)];
    const weight = input("weight", "float32", []);
    const { start_logits, end_logits } = spans(model.forward(ids, segmentIds).logits);
    const loss = mul(add(likelihood(start_logits!, start), likelihood(end_logits!, end)), weight);
    return { inputs: { ids, segmentIds, start, end, weight }, loss, figures: {} };
  },
  feeds: ({ inputs }) => ({
    start: oneHot(inputs.start_positions, inputs.input_ids[0]!.length),
    end: oneHot(inputs.end_positions, inputs.input_ids[0]!.length),
    weight: hostTensor("float32", [], [1 / (2 * inputs.input_ids.length)]),
  }),
};

/** A one at each id, zeros elsewhere: [ids, classes]. */
function oneHot(labels: readonly number[], classes: number): HostTensor<"float32"> {
  const data = new Float32Array(labels.length * classes);
  for (const [i, label] of labels.entries()) data[i * classes + label] = 1;
  return { dtype: "float32", dims: [labels.length, classes], data };
}

const compared = { bert_mlm: masked, bert_multilabel: multilabel, bert_token: token, bert_qa: answers };

function compare<Model extends Module>(name: string, { as, outputs, loss, feeds }: Compared<Model>): void {
  const folder = encoderFolders[name];
  describe.skipIf(folder === undefined)(`${name}, against the reference implementation${skipped(folder)}`, () => {
    let reference: Reference;
    let loaded: HuggingFaceModel<Model>;
    beforeAll(async () => {
      reference = await readReference(folder!);
      loaded = await loadHuggingFace(folder!, { as });
    });
    const given = () => ({
      ids: idTensor(reference.inputs.input_ids),
      segmentIds: idTensor(reference.inputs.token_type_ids),
    });

    test("written again, every tensor is what was read, bit for bit", async () => {
      expect(toHub(loaded)).toEqual(await storedTensors(folder!));
    });

    test("answers, every hidden state and every attention agree within 1e-4 where the mask is 1", async () => {
      const { answers: wanted, hidden, selfAttention } = outputs(loaded.model);
      const named: Record<string, Tensor> = {};
      for (const [answer, tensor] of Object.entries(wanted)) named[`out.${answer}`] = tensor;
      hidden.forEach((tensor, i) => (named[`out.hidden_states.${i}`] = tensor));
      if (reference.tensors.has("out.attentions.0"))
        selfAttention.forEach((tensor, i) => (named[`out.attentions.${i}`] = tensor!));
      await using run = await compiled(loaded.model, loaded.weights, { ids, segmentIds }, named);
      const results = await run.run(given());
      const expected = [...reference.tensors].filter(([tensor]) => tensor.startsWith("out.") && tensor !== "out.loss");
      expect(Object.keys(results).toSorted()).toEqual(expected.map(([tensor]) => tensor).toSorted());
      const mask = reference.inputs.attention_mask;
      for (const [tensor, { dims, data }] of expected) {
        const got = results[tensor]!;
        expect(got.dims, tensor).toEqual(dims);
        // The time axis: second of states and of spans, third of attention; a text's classes have none.
        const axis = dims.length === 4 ? 2 : 1;
        const below = dims.slice(axis + 1).reduce((size, n) => size * n, 1);
        const isPlaced = dims[axis] === mask[0]!.length;
        const where = (i: number): boolean =>
          !isPlaced || mask[Math.floor(i / (data.length / dims[0]!))]![Math.floor(i / below) % dims[axis]!] === 1;
        expectClose(got.data as Float32Array, data as Float32Array, { within: 1e-4, what: tensor, where });
      }
    });

    test("the loss and the first gradient of every parameter agree", () =>
      expectGradients({ reference, loaded, loss, feeds: { ...given(), ...feeds(reference) } }));

    test("five AdamW steps pass through the reference's six losses", () =>
      expectTrace(
        { reference, loaded, loss, feeds: { ...given(), ...feeds(reference) } },
        { rates: ["hidden_dropout_prob", "attention_probs_dropout_prob"], as },
      ));
  });
}

compare("bert_mlm", compared.bert_mlm);
compare("bert_multilabel", compared.bert_multilabel);
compare("bert_token", compared.bert_token);
compare("bert_qa", compared.bert_qa);
