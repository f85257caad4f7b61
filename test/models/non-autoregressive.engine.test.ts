// The model that writes all places at once: who sees whom, what its losses are worth, and how training hides tokens.
import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { compile, RandomBytes, type Feeds } from "../../src/engine/index.ts";
import {
  drawnMasks,
  NonAutoregressiveDecoder,
  nonAutoregressiveLoss,
  NonAutoregressiveTransformer,
  sparePlaces,
  type NonAutoregressiveOptions,
} from "../../src/models/index.ts";
import { initialize, namedParameters, parameterInputs } from "../../src/nn/index.ts";
import {
  dim,
  inDoublePrecision,
  input,
  programNodes,
  randomLabel,
  withoutDropout,
  type Program,
  type Tensor,
} from "../../src/tensor/index.ts";
import { trainingProgram } from "../../src/train/index.ts";
import { expectClose } from "../close.ts";
import { idRows, randomRows } from "./small-transformer.ts";

const [start, end] = [1, 2];
const vocabularySize = 11;
const session = { threads: 1 };

function modelOf(options: Partial<NonAutoregressiveOptions> = {}): NonAutoregressiveTransformer {
  return new NonAutoregressiveTransformer({
    vocabularySize,
    dModel: 16,
    heads: 4,
    layers: 2,
    dFeedForward: 24,
    maxPositions: 64,
    start,
    end,
    ...options,
  });
}

function noisyWeights(model: NonAutoregressiveTransformer, seed = 1): Map<string, HostTensor<"float32">> {
  const random = new RandomStream(randomKey(seed, 77));
  const weights = initialize(namedParameters(model), seed);
  for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.1 * random.normal();
  return weights;
}

const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
const canvas = input("canvas", "int32", [dim("batch"), dim("time")]);

/** Runs outputs of a model over feeds, once, without dropout. */
async function run(
  model: NonAutoregressiveTransformer,
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Feeds,
  inputs: Readonly<Record<string, Tensor>> = { sourceIds, canvas },
): Promise<Record<string, HostTensor>> {
  const program = { name: "test", inputs: { ...parameterInputs(namedParameters(model)), ...inputs }, outputs };
  await using executable = await compile(withoutDropout(program), session);
  return await executable.run({ ...Object.fromEntries(noisyWeights(model)), ...feeds });
}

describe("the decoder", () => {
  const model = modelOf();
  const { output } = model.fill(sourceIds, canvas, model.encode(sourceIds));
  const source = randomRows([5, 3], vocabularySize);

  test("lets every place see every other, and none see padding", async () => {
    // Which embeddings of the canvas does each place's output depend on? Change one token at a time and look.
    const first = [3, 4, 5, 6];
    const outputOf = async (row: readonly number[]): Promise<Float32Array> => {
      const feeds = { sourceIds: idRows(source), canvas: idRows([row, [7, 8]]) };
      return (await run(model, { output }, feeds)).output!.data as Float32Array;
    };
    const before = await outputOf(first);
    for (let changed = 0; changed < first.length; changed++) {
      const after = await outputOf(first.with(changed, 9));
      for (let place = 0; place < first.length; place++) {
        const at = (values: Float32Array): Float32Array => values.subarray(place * 16, (place + 1) * 16);
        const moved = Math.max(...at(after).map((value, i) => Math.abs(value - at(before)[i]!)));
        expect(moved, `place ${place} after a change at ${changed}`).toBeGreaterThan(1e-4);
      }
      expectClose(after.subarray(4 * 16, 6 * 16), before.subarray(4 * 16, 6 * 16), {
        within: 1e-7,
        what: "the other row",
      });
    }
  });

  test.each<Partial<NonAutoregressiveOptions>>([
    {},
    { attention: { kind: "sliding-window", window: 2 }, positions: "rotary" },
    { attention: "linear", normKind: "rms", norm: "pre" },
    { attention: "tiled", positions: "relative", norm: "deep" },
    { attention: { kind: "longformer", window: 2 }, feedForward: "swiglu", memory: "mixture", keyValueHeads: 1 },
  ])("gives the same for a row whatever padding stands behind it, source and canvas: %j", async (options) => {
    const model = modelOf(options);
    const { output } = model.fill(sourceIds, canvas, model.encode(sourceIds));
    const alone = await run(model, { output }, { sourceIds: idRows([source[1]!]), canvas: idRows([[7, 8]]) });
    const padded = await run(
      model,
      { output },
      {
        sourceIds: idRows([source[1]!, source[0]!]),
        canvas: idRows([
          [7, 8],
          [3, 4, 5, 6, 1, 1],
        ]),
      },
    );
    expectClose(
      (padded.output!.data as Float32Array).subarray(0, 32),
      (alone.output!.data as Float32Array).subarray(0, 32),
      { within: 5e-6 },
    );
  });

  test.each(["start", "source"] as const)(
    "fills several canvases of a source as it fills each alone: decoder input %s",
    async (decoderInput) => {
      const model = modelOf({ decoderInput, keyValueHeads: 2, positions: "relative" });
      const weights = noisyWeights(model);
      await using decoder = new NonAutoregressiveDecoder(model, weights, session);
      const both = await decoder.read(idRows(source));
      const rows = [
        [
          [1, 1, 1, 1],
          [1, 1],
        ],
        [[1], [1, 1, 1]],
      ];
      const together = await both.fill({ dims: [2, 2, 4], ids: idRows(rows.flat(), { time: 4 }).data });
      for (const [sentence, canvases] of rows.entries()) {
        const read = await decoder.read(idRows([source[sentence]!]));
        for (const [candidate, row] of canvases.entries()) {
          const alone = await read.fill({ dims: [1, 1, row.length], ids: Int32Array.from(row) });
          const from = (sentence * 2 + candidate) * 4;
          expect([...together.tokens.subarray(from, from + row.length)]).toEqual([...alone.tokens]);
          expectClose(together.logProbabilities.subarray(from, from + row.length), alone.logProbabilities, {
            within: 1e-5,
          });
        }
      }
    },
  );

  test("reads the source stretched evenly over the output where it is copied", async () => {
    // Without positions and attention's help the input of the decoder is the copied embedding itself.
    const model = modelOf({ decoderInput: "source", positions: "none" });
    const { hidden } = model.fill(sourceIds, canvas, model.encode(sourceIds));
    const feeds = {
      sourceIds: idRows([
        [3, 4, 5],
        [6, 7],
      ]),
      canvas: idRows([
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1],
      ]),
    };
    const result = await run(model, { x: hidden[0]!, table: model.source.embedding.table.value }, feeds);
    const table = result.table!.data as Float32Array;
    // ⌊(t + ½) · n / m⌋ by hand: 6 places of 3 tokens, 3 places of 2.
    for (const [row, ids] of [
      [3, 3, 4, 4, 5, 5],
      [6, 7, 7],
    ].entries())
      for (const [place, id] of ids.entries())
        expectClose(
          (result.x!.data as Float32Array).subarray((row * 6 + place) * 16, (row * 6 + place + 1) * 16),
          table.subarray(id * 16, (id + 1) * 16).map((value) => 4 * value),
          { within: 1e-6, what: `row ${row}, place ${place}` },
        );
  });
});

const targets = [
  [start, 3, 4, 5, end],
  [start, 6, end],
];
const batch: Feeds = {
  sourceIds: idRows([
    [3, 4, 5, end],
    [6, 7, end],
  ]),
  targetIds: idRows(targets),
  tokenWeight: hostTensor("float32", [], [1 / 6]),
};

/** −ln softmax(row)[label], in float64. */
function crossEntropy(row: Float32Array, label: number, smoothing = 0): number {
  const total = Math.log(row.reduce((all, x) => all + Math.exp(x), 0));
  const mean = row.reduce((all, x) => all + x, 0) / row.length;
  return (1 - smoothing) * (total - row[label]!) + smoothing * (total - mean);
}

/** Logits at each place of canvases of these rows. */
async function logitsOf(model: NonAutoregressiveTransformer, rows: readonly (readonly number[])[]) {
  const logits = model.logits(model.fill(sourceIds, canvas, model.encode(sourceIds)).output);
  const feeds = { sourceIds: batch.sourceIds!, canvas: idRows(rows) };
  const { data, dims } = (await run(model, { logits }, feeds)).logits!;
  const at = (row: number, place: number): Float32Array => {
    const from = (row * dims[1]! + place) * vocabularySize;
    return (data as Float32Array).subarray(from, from + vocabularySize);
  };
  return at;
}

describe("the loss is what its formula says", () => {
  test("at the true length: every token and END, and a tenth of the length's cross-entropy", async () => {
    const model = modelOf({ lengthReach: 3 });
    const loss = nonAutoregressiveLoss(model, { labelSmoothing: 0.1 });
    const result = await run(model, { loss: loss.loss, ...loss.figures }, batch, loss.inputs);
    const at = await logitsOf(
      model,
      targets.map((row) => row.slice(1).map(() => start)),
    );
    const sumOf = (smoothing: number): number =>
      targets
        .flatMap((row, i) => row.slice(1).map((label, place) => crossEntropy(at(i, place), label, smoothing)))
        .reduce((a, b) => a + b, 0);
    expectClose([Number(result.negativeLogLikelihood!.data[0])], [sumOf(0) / 6], { within: 1e-5 });

    const encoded = model.encode(sourceIds);
    const tokens = input("tokens", "int32", [dim("batch")]);
    const { lengths } = await run(
      model,
      { lengths: model.lengths!.forward(encoded.memory, tokens) },
      { sourceIds: batch.sourceIds!, tokens: hostTensor("int32", [2], [4, 3]) },
      { sourceIds, tokens },
    );
    const scores = lengths!.data as Float32Array;
    // Targets of 4 and 2 tokens, END counted, for sources of 4 and 3: differences 0 and −1, of classes −3 … 3.
    const lengthLoss = (crossEntropy(scores.subarray(0, 7), 3) + crossEntropy(scores.subarray(7, 14), 2)) / 2;
    expectClose([Number(result.lengthLoss!.data[0])], [lengthLoss], { within: 1e-5 });
    expectClose([Number(result.loss!.data[0])], [sumOf(0.1) / 6 + 0.1 * lengthLoss], { within: 1e-5 });
  });

  test("in a block: END from the end of the target to that of the block; the reported part stops at the first", async () => {
    const model = modelOf({ length: "cut-at-end", upsampling: 2 });
    const loss = nonAutoregressiveLoss(model);
    const result = await run(model, { loss: loss.loss, ...loss.figures }, batch, loss.inputs);
    const places = [4, 3].map((tokens) => 2 * tokens + sparePlaces);
    const at = await logitsOf(
      model,
      places.map((count) => Array.from({ length: count }, () => start)),
    );
    const each = places.map((count, row) =>
      Array.from({ length: count }, (_, place) => crossEntropy(at(row, place), targets[row]![place + 1] ?? end)),
    );
    const total = (rows: readonly (readonly number[])[]): number => rows.flat().reduce((a, b) => a + b, 0);
    expectClose([Number(result.loss!.data[0])], [total(each) / 6], { within: 1e-5 });
    const reported = each.map((row, i) => row.slice(0, targets[i]!.length - 1));
    expectClose([Number(result.negativeLogLikelihood!.data[0])], [total(reported) / 6], { within: 1e-5 });
  });

  test("over alignments: every way to read the block as the target, START being the blank", async () => {
    const model = modelOf({ length: "ctc", upsampling: 1 });
    const loss = nonAutoregressiveLoss(model);
    const result = await run(model, { loss: loss.loss, ...loss.figures }, batch, loss.inputs);
    const places = [4, 3].map((tokens) => tokens + sparePlaces);
    const at = await logitsOf(
      model,
      places.map((count) => Array.from({ length: count }, () => start)),
    );
    // The probability of reading the first j labels by frame t, in float64, having ended on a label or on a blank.
    const expected = places.map((count, row) => {
      const labels = targets[row]!.slice(1, -1);
      let onBlank = [1, ...labels.map(() => 0)];
      let onLabel = [0, ...labels.map(() => 0)];
      for (let t = 0; t < count; t++) {
        const p = (symbol: number): number => Math.exp(-crossEntropy(at(row, t), symbol));
        const [blankBefore, labelBefore] = [onBlank, onLabel];
        onBlank = blankBefore.map((value, j) => (value + labelBefore[j]!) * p(start));
        onLabel = labelBefore.map((value, j) => {
          if (j === 0) return 0;
          const isNew = blankBefore[j - 1]! + (labels[j - 1] === labels[j - 2] ? 0 : labelBefore[j - 1]!);
          return (value + isNew) * p(labels[j - 1]!);
        });
      }
      return -Math.log(onBlank.at(-1)! + onLabel.at(-1)!);
    });
    expectClose([Number(result.loss!.data[0])], [(expected[0]! + expected[1]!) / 6], { within: 1e-5 });
    expect(Number(result.unreachable!.data[0])).toBe(0);
  });

  test("targets longer than their block lose their ends, or teach nothing over alignments, and that is counted", async () => {
    const long = Array.from({ length: 20 }, (_, i) => 3 + (i % 5));
    const feeds = {
      ...batch,
      targetIds: idRows([
        [start, ...long, end],
        [start, 6, end],
      ]),
    };
    const cut = modelOf({ length: "cut-at-end", upsampling: 1 });
    const block = nonAutoregressiveLoss(cut);
    // Its block of 12 places asks for the first 12 tokens and no END: another END, another target, the same loss.
    const lossOf = async (row: readonly number[]): Promise<number> => {
      const targetIds = idRows([
        [start, ...row, end],
        [start, 6, end],
      ]);
      return Number((await run(cut, { loss: block.loss }, { ...batch, targetIds }, block.inputs)).loss!.data[0]);
    };
    expect(await lossOf(long)).toBe(await lossOf([...long.slice(0, 12), 9, 9, 9]));
    expect(await lossOf(long)).not.toBe(await lossOf([...long.slice(0, 11), 9, 9, 9]));
    const model = modelOf({ length: "ctc", upsampling: 1 });
    const loss = nonAutoregressiveLoss(model);
    const result = await run(model, { loss: loss.loss, ...loss.figures }, feeds, loss.inputs);
    // 21 of the tokens, at a weight of 1/6 each.
    expectClose([Number(result.unreachable!.data[0])], [21 / 6], { within: 1e-6 });
    const short = await run(model, { loss: loss.loss }, { ...feeds, targetIds: idRows(targets) }, loss.inputs);
    expect(Number(result.loss!.data[0])).toBeLessThan(Number(short.loss!.data[0]));
  });
});

const tiny = {
  vocabularySize: 8,
  dModel: 4,
  heads: 2,
  layers: 1,
  dFeedForward: 6,
  dropout: 0,
  maxPositions: 32,
} as const;

test.each([
  ["predicted", {}, 0],
  ["predicted, source copied", { decoderInput: "source" }, 0],
  ["predicted, glancing", {}, 0.6],
  ["predicted, masked", { decoderInput: "masked" }, 0],
  ["cut at END", { length: "cut-at-end", upsampling: 1 }, 0],
  ["cut at END, glancing", { length: "cut-at-end", upsampling: 1 }, 0.6],
  ["ctc", { length: "ctc", upsampling: 1 }, 0],
] as const)("every parameter's gradient is the slope of the loss: %s", async (_, options, glancing) => {
  const model = modelOf({ ...tiny, ...options });
  const parameters = namedParameters(model);
  const whole = inDoublePrecision(trainingProgram(parameters, nonAutoregressiveLoss(model, { glancing })));
  await using executable = await compile(whole, session);
  const feeds: Record<string, HostTensor> = {
    sourceIds: idRows([
      [3, 4, 5, end],
      [6, 7, end],
    ]),
    targetIds: idRows(targets),
    tokenWeight: hostTensor("float64", [], [1 / 6]),
  };
  for (const [name, { shape }] of Object.entries(whole.inputs)) {
    if (!name.startsWith("random.")) continue;
    const places = model.options.length === "cut-at-end" ? 4 + sparePlaces : 4;
    const dims = shape.map((size, axis) => (typeof size === "number" ? size : axis === 0 ? 2 : places));
    new RandomBytes().fill([{ name, dims, key: randomKey(9) }]);
    feeds[name] = hostTensor(
      "uint8",
      dims,
      Uint8Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => 37 * i),
    );
  }
  for (const [name, { dims, data }] of noisyWeights(model, 5))
    feeds[name] = hostTensor("float64", dims, Float64Array.from(data));
  const stated = await executable.run(feeds);
  const random = new RandomStream(randomKey(6));
  for (const [name, parameter] of parameters) {
    if (!parameter.trainable) continue;
    const { dims, data } = feeds[name] as HostTensor<"float64">;
    const towards = data.map(() => random.normal());
    const lossAt = async (by: number): Promise<number> => {
      const moved = { dtype: "float64" as const, dims, data: data.map((value, i) => value + by * towards[i]!) };
      return Number((await executable.run({ ...feeds, [name]: moved })).loss!.data[0]);
    };
    const measured = ((await lossAt(1e-5)) - (await lossAt(-1e-5))) / 2e-5;
    const gradient = stated[`gradient.${name}`]!.data as Float64Array;
    const expected = gradient.reduce((total, value, i) => total + value * towards[i]!, 0);
    expectClose([expected], [measured], { within: 1e-6, relative: 1e-5, what: `slope along ${name}` });
  }
});

describe("glancing", () => {
  const places = { predicted: [4, 2], "cut-at-end": [4, 3].map((tokens) => tokens + sparePlaces) };

  test.each([
    ["predicted", {}, 0.6],
    ["predicted", {}, 1],
    ["predicted", { decoderInput: "source" }, 0.6],
    ["cut-at-end", { upsampling: 1 }, 0.3],
  ] as const)(
    "%s %o: of the tokens missed at first a share of %f is shown, the others are asked for",
    async (length, options, share) => {
      const model = modelOf({ dropout: 0, length, ...options });
      const { loss, figures, inputs } = nonAutoregressiveLoss(model, { glancing: share });
      const isBlock = length === "cut-at-end";
      const program: Program = {
        name: "glancing",
        inputs: { ...parameterInputs(namedParameters(model)), ...inputs },
        outputs: isBlock ? { loss } : { loss, lengthLoss: figures.lengthLoss! },
      };
      const time = Math.max(...places[length]);
      const { feeds: bytes, draws } = drawsOf(program, [2, time]);
      await using executable = await compile(program, session);
      const weights = noisyWeights(model);
      const result = await executable.run({ ...Object.fromEntries(weights), ...batch, ...bytes });

      const empty = places[length].map((count) => Array.from({ length: count }, () => start));
      const wanted = places[length].map((count, row) =>
        Array.from({ length: count }, (_, place) => targets[row]![place + 1] ?? end),
      );
      const first = await logitsOf(model, empty);
      let isAnyShown = false;
      const canvases = wanted.map((labels, row) => {
        const missed = labels.filter((label, place) => best(first(row, place)) !== label).length;
        const order = labels.map((_, place) => place).sort((a, b) => draws[row * time + a]! - draws[row * time + b]!);
        const shown = new Set(order.slice(0, Math.floor(Math.fround(missed * Math.fround(share)))));
        if (shown.size > 0) isAnyShown = true;
        return labels.map((label, place) => (shown.has(place) ? label : start));
      });
      expect(isAnyShown).toBe(true);
      const then = await logitsOf(model, canvases);
      const asked = canvases.flatMap((canvas, row) =>
        canvas.flatMap((token, place) =>
          token === start ? [crossEntropy(then(row, place), wanted[row]![place]!)] : [],
        ),
      );
      const total = asked.reduce((a, b) => a + b, 0);
      const scale = canvases.flat().length / Math.max(1, asked.length) / 6;
      const lengthLoss = isBlock ? 0 : 0.1 * Number(result.lengthLoss!.data[0]);
      expectClose([Number(result.loss!.data[0])], [total * scale + lengthLoss], { within: 2e-5 });
    },
  );

  test.each([
    ["ctc", { length: "ctc" }, "model.length ctc"],
    ["masked", { decoderInput: "masked" }, "model.decoderInput masked"],
  ] as const)("is refused with %s, where it has no effect", (_, options, named) => {
    expect(() => nonAutoregressiveLoss(modelOf(options), { glancing: 0.5 })).toThrow(named);
  });

  test("shows nothing outside of training", async () => {
    const model = modelOf();
    const lossOf = async (glancing: number): Promise<number> => {
      const { loss, inputs } = nonAutoregressiveLoss(model, { glancing });
      return Number((await run(model, { loss }, batch, inputs)).loss!.data[0]);
    };
    expect(await lossOf(1)).toBe(await lossOf(0));
  });
});

/** The place of the greatest number. */
function best(row: Float32Array): number {
  return row.indexOf(Math.max(...row));
}

/** Names the random bytes of a program among its inputs, and gives some, and the numbers that they draw for [rows, time]. */
function drawsOf(program: { inputs: Readonly<Record<string, Tensor>> } & Program, [rows, time]: [number, number]) {
  const feeds: Record<string, HostTensor> = {};
  const inputs: Record<string, Tensor> = { ...program.inputs };
  const draws: number[] = [];
  for (const { operation, attributes, outputs } of programNodes(program)) {
    if (operation.name !== "input" || attributes.label !== randomLabel) continue;
    const name = `random.${Object.keys(feeds).length}`;
    inputs[name] = outputs[0]!;
    const bytes = Uint8Array.from({ length: rows * time * 3 }, (_, i) => (i * i * 31 + 67 * i) % 251);
    feeds[name] = hostTensor("uint8", [rows, time, 3], bytes);
    for (let i = 0; i < rows * time; i++)
      draws.push(bytes[3 * i]! / 2 ** 8 + bytes[3 * i + 1]! / 2 ** 16 + bytes[3 * i + 2]! / 2 ** 24);
  }
  Object.assign(program, { inputs });
  return { feeds, draws };
}

test("training hides 1 … n of n tokens, each number and each place alike, never padding; without training it hides all", async () => {
  const counts = input("counts", "bool", [dim("batch"), dim("time")]);
  const masks = drawnMasks(counts);
  const program = { name: "masks", inputs: { counts } as Record<string, Tensor>, outputs: { masks } };
  const [rows, tokens, time] = [4000, 5, 7];
  const feeds: Record<string, HostTensor> = {
    counts: hostTensor(
      "bool",
      [rows, time],
      Array.from({ length: rows * time }, (_, i) => Number(i % time < tokens)),
    ),
  };
  let site = 0;
  const sites: { name: string; dims: number[]; key: ReturnType<typeof randomKey> }[] = [];
  for (const { operation, attributes, outputs } of programNodes(program)) {
    if (operation.name !== "input" || attributes.label !== randomLabel) continue;
    const [output] = outputs;
    const dims = output!.shape.map((size, axis) => (typeof size === "number" ? size : axis === 0 ? rows : time));
    program.inputs[`random.${site}`] = output!;
    sites.push({ name: `random.${site}`, dims, key: randomKey(11, site++) });
  }
  Object.assign(feeds, new RandomBytes().fill(sites));
  await using executable = await compile(program, session);
  const hidden = (await executable.run(feeds)).masks!.data;
  const byCount = new Array<number>(tokens + 1).fill(0);
  const byPlace = new Array<number>(time).fill(0);
  for (let row = 0; row < rows; row++) {
    let count = 0;
    for (let place = 0; place < time; place++) {
      if (Number(hidden[row * time + place]) === 0) continue;
      byPlace[place]!++;
      count++;
    }
    byCount[count]!++;
  }
  expect(byCount[0]).toBe(0);
  expect(byPlace.slice(tokens)).toEqual([0, 0]);
  // Chi-square with 4 degrees of freedom passes 23.5 once in 10,000 seeds.
  const chiSquare = (seen: readonly number[], expected: number): number =>
    seen.reduce((total, value) => total + (value - expected) ** 2 / expected, 0);
  expect(chiSquare(byCount.slice(1), rows / tokens)).toBeLessThan(23.5);
  // Places are not drawn independently of one another, which makes their counts more even than that.
  expect(chiSquare(byPlace.slice(0, tokens), (rows * 3) / tokens)).toBeLessThan(23.5);

  await using inference = await compile(withoutDropout({ ...program, inputs: { counts } }), session);
  expect((await inference.run({ counts: feeds.counts! })).masks!.data).toEqual(feeds.counts!.data);
});

test.each([
  [
    { decoderInput: "masked", length: "ctc" },
    "model.decoderInput: masked needs places that keep their meaning between passes: length predicted (got ctc).",
  ],
  [{ upsampling: 2 }, "model.upsampling: has no effect with length predicted. Remove it."],
  [{ length: "ctc", lengthReach: 9 }, "model.lengthReach: has no effect with length ctc. Remove it."],
  [{ attention: "causal-blocks" }, "model.attention: does not go with the rest"],
  [
    { attention: { encoder: "full", decoder: "mamba" } },
    "in the decoder, it only looks back, and this stack reads in both directions",
  ],
] as const)("%j is refused", (options, message) => {
  expect(() => modelOf(options as Partial<NonAutoregressiveOptions>)).toThrow(message);
});
