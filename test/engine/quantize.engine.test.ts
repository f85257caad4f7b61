// Products in whole numbers of 8 bits: the rounding by hand, the operator against it, and a model's answers.
import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream } from "../../src/base/index.ts";
import { compile, quantized, roundColumns } from "../../src/engine/index.ts";
import { Transformer, TransformerDecoder } from "../../src/models/index.ts";
import { add, affine, concat, dim, input, matmul, mul, programNodes, type Program } from "../../src/tensor/index.ts";
import { greedySearch } from "../../src/decode/index.ts";
import { idRows, noisyWeights, randomRows } from "../models/small-transformer.ts";

const random = new RandomStream(randomKey(21));
const draw = (...dims: number[]) =>
  hostTensor(
    "float32",
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal()),
  );

test("each column has the scale of its largest number, and zeros stay zeros", () => {
  // Column 0: 2.54 / 127 = 0.02; 1 / 0.02 = 50. Column 1 is zeros. Column 2: 0.635 / 127 = 0.005.
  const { weight, scale } = roundColumns(hostTensor("float32", [2, 3], [2.54, 0, -0.635, 1, 0, 0.3]));
  expect([...weight.data]).toEqual([127, 0, -127, 50, 0, 60]);
  expect([...scale.data]).toEqual([Math.fround(0.02), 1, Math.fround(0.005)]);
  const turned = roundColumns(hostTensor("float32", [3, 2], [2.54, 1, 0, 0, -0.635, 0.3]), {
    transposed: true,
    factor: 2,
  });
  expect([...turned.weight.data]).toEqual([...weight.data]);
  expect([...turned.scale.data]).toEqual([Math.fround(0.04), 2, Math.fround(0.01)]);
});

const products = ({ outputs, name, inputs }: Program): string[] =>
  programNodes({ name, inputs, outputs }).flatMap(({ operation }) =>
    /matmul|affine|quantizedProduct/.test(operation.name) ? [operation.name] : [],
  );

describe("a program", () => {
  const [from, to] = [48, 40];
  const x = input("x", "float32", [dim("batch"), 3, from]);
  const [first, second, bias] = [
    input("first", "float32", [from, to]),
    input("second", "float32", [to, from]),
    input("bias", "float32", [to]),
  ];
  const frozen = new Map(Object.entries({ first: draw(from, to), second: draw(to, from), bias: draw(to) }));
  const program: Program = {
    name: "products",
    inputs: { x, first, second, bias },
    outputs: {
      plain: matmul(x, first),
      affine: affine(x, first, bias),
      turned: matmul(x, second, { transposeB: true, alpha: 0.25 }),
      // Put together from frozen matrices: worked out before it is rounded.
      joined: matmul(x, concat([mul(first, 0.5), first], 1)),
      own: matmul(x, x, { transposeB: true }),
    },
  };

  test.each([true, false])("with contrib operators %s, comes within the rounding of what it was", async (contrib) => {
    const rounded = await quantized(program, { frozen, threads: 1 });
    expect(products(rounded).filter((name) => name === "quantizedProduct")).toHaveLength(4);
    await using exact = await compile(program, { frozen, threads: 1 });
    await using run = await compile(rounded, { frozen, threads: 1, contrib });
    const feeds = { x: draw(2, 3, from) };
    const [expected, got] = [await exact.run(feeds), await run.run(feeds)];
    for (const [name, { data }] of Object.entries(expected)) {
      const differences = (got[name]!.data as Float32Array).map((value, i) => value - Number(data[i]));
      const scale = Math.hypot(...(data as Float32Array));
      // Rounding to one of 255 steps over about ±3 deviations is an error of about 1 % of one deviation.
      expect(Math.hypot(...differences) / scale, name).toBeLessThan(name === "own" ? 1e-6 : 0.02);
    }
  });

  test("without frozen weights stays as it is", async () => {
    expect(await quantized(program)).toBe(program);
  });

  test("of small matrices stays as it is", async () => {
    const small = { ...program, outputs: { y: add(matmul(x, input("w", "float32", [from, 2])), 1) } };
    const withWeight = { ...small, inputs: { x, w: small.outputs.y.node.inputs[0]!.node.inputs[1]! } };
    expect(await quantized(withWeight, { frozen: new Map([["w", draw(from, 2)]]) })).toBe(withWeight);
  });
});

test("a model decodes in 8 bits nearly as in 32: most tokens alike, log-probabilities close", async () => {
  const model = new Transformer({
    vocabularySize: 13,
    dModel: 64,
    heads: 4,
    layers: 2,
    dFeedForward: 96,
    maxPositions: 32,
  });
  const weights = noisyWeights(model);
  const sources = idRows(randomRows([7, 3, 5, 6], 13, 4));
  const search = async (precision: "float32" | "int8") => {
    const decoder = new TransformerDecoder(model, weights, { threads: 1 }, { precision });
    const found = await greedySearch(await decoder.start(sources), { start: 1, maxTokens: 10 });
    await decoder.dispose();
    return found;
  };
  const [exact, rounded] = [await search("float32"), await search("int8")];
  const alike = exact.flatMap(({ tokens }, row) => tokens.map((token, i) => Number(token === rounded[row]!.tokens[i])));
  expect(alike.reduce((a, b) => a + b) / alike.length).toBeGreaterThan(0.6);
  expect(alike[0]).toBe(1);
});
