// The matrix products of a piece of work: read from a traced program, or written down from a model's sizes.
import { evaluateDim, programNodes, type Program, type TensorType } from "../src/tensor/index.ts";
import type { DecodingBenchmark, TrainingBenchmark } from "./cases.ts";

/** `count` products [batch, rows, inner] × [batch, inner, columns], all alike. */
export interface MatrixProduct {
  /** Products made in one call of the kernel; 1 is a plain product of two matrices. */
  readonly batch: number;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Whether a lies in memory as [inner, rows]. */
  readonly transposeA: boolean;
  /** Whether b lies in memory as [columns, inner]. */
  readonly transposeB: boolean;
  /** Whether b is a weight that never changes, which the runtime packs once. */
  readonly constantB: boolean;
  readonly count: number;
}

/** Multiplications and additions of a list of products. */
export function operationsOf(products: readonly MatrixProduct[]): number {
  return products.reduce(
    (sum, { batch, rows, inner, columns, count }) => sum + 2 * batch * rows * inner * columns * count,
    0,
  );
}

/** One entry for equal products, with their counts added. */
export function merge(products: readonly MatrixProduct[]): MatrixProduct[] {
  const merged = new Map<string, MatrixProduct>();
  for (const product of products) {
    const key = JSON.stringify({ ...product, count: 0 });
    merged.set(key, { ...product, count: product.count + (merged.get(key)?.count ?? 0) });
  }
  return [...merged.values()];
}

/**
 * The products of a traced program. `sizes` gives its named sizes; `frozen` names the inputs that are built in as constants.
 * @example productsOf(program, new Map([["batch", 32], ["sourceTime", 32], ["targetLength", 33]]))
 */
export function productsOf(
  program: Program,
  sizes: ReadonlyMap<string, number>,
  frozen: ReadonlySet<string> = new Set(),
): MatrixProduct[] {
  const constants = new Set(
    Object.keys(program.inputs).flatMap((name) => (frozen.has(name) ? [program.inputs[name]!] : [])),
  );
  const numbers = ({ shape }: TensorType): number[] => shape.map((size) => evaluateDim(size, sizes));
  const elements = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1);
  const products: MatrixProduct[] = [];
  for (const { operation, inputs, outputs, attributes } of programNodes(program)) {
    if (operation.name !== "matmul" && operation.name !== "affine") continue;
    const [a, b] = [numbers(inputs[0]!), numbers(inputs[1]!)];
    const out = numbers(outputs[0]!);
    const transposeA = attributes.transposeA === true;
    const inner = a.at(transposeA ? -2 : -1)!;
    const constantB = constants.has(inputs[1]!);
    const alike = {
      inner,
      columns: out.at(-1)!,
      transposeA,
      transposeB: attributes.transposeB === true,
      constantB,
      count: 1,
    };
    // As the products are lowered: with a matrix on the right, all leading axes of a are rows of one product.
    const isFlat = b.length === 2 && (a.length === 2 || !transposeA);
    if (isFlat) products.push({ ...alike, batch: 1, rows: elements(out.slice(0, -1)) });
    else products.push({ ...alike, batch: elements(out.slice(0, -2)), rows: out.at(-2)! });
  }
  return merge(products);
}

type Sizes = Pick<MatrixProduct, "rows" | "inner" | "columns"> & Partial<MatrixProduct>;

const product = (sizes: Sizes): MatrixProduct => ({
  batch: 1,
  transposeA: false,
  transposeB: false,
  constantB: false,
  count: 1,
  ...sizes,
});

/** x W forward, dy Wᵀ for the input, xᵀ dy for the weight. */
function linearStep(rows: number, from: number, to: number, count: number): MatrixProduct[] {
  return [
    product({ rows, inner: from, columns: to, count }),
    product({ rows, inner: to, columns: from, transposeB: true, count }),
    product({ rows: from, inner: rows, columns: to, transposeA: true, count }),
  ];
}

/** Q Kᵀ and P V forward; dO Vᵀ and Pᵀ dO for the softmax and V; dS K and dSᵀ Q for Q and K. */
function attentionStep(batch: number, time: number, dHead: number, count: number): MatrixProduct[] {
  const scores = { batch, rows: time, inner: dHead, columns: time, count };
  const mix = { batch, rows: time, inner: time, columns: dHead, count };
  return [
    product({ ...scores, transposeB: true }),
    product(mix),
    product({ ...scores, transposeB: true }),
    product({ ...mix, transposeA: true }),
    product(mix),
    product({ ...mix, transposeA: true }),
  ];
}

/** Products that any implementation of one training step has to make: forward, and both adjoints of each. */
export function trainingProducts({
  model,
  batch,
  time,
}: Pick<TrainingBenchmark, "model" | "batch" | "time">): MatrixProduct[] {
  const { layers, dModel, heads, dFeedForward, vocabulary } = model;
  const rows = batch * time;
  return merge([
    // Query, key, value and output: once in an encoder layer, twice in a decoder layer.
    ...linearStep(rows, dModel, dModel, 4 * 3 * layers),
    ...attentionStep(batch * heads, time, dModel / heads, 3 * layers),
    ...linearStep(rows, dModel, dFeedForward, 2 * layers),
    ...linearStep(rows, dFeedForward, dModel, 2 * layers),
    // Logits y Eᵀ, then p E for y and pᵀ y for E.
    product({ rows, inner: dModel, columns: vocabulary, transposeB: true }),
    product({ rows, inner: vocabulary, columns: dModel }),
    product({ rows: vocabulary, inner: rows, columns: dModel, transposeA: true }),
  ]);
}

const constantLinear = (rows: number, from: number, to: number, count: number): MatrixProduct =>
  product({ rows, inner: from, columns: to, constantB: true, count });

/** Products of one decoding: the source once, keys and values of the memory once, then a step a token. */
export function decodingProducts(
  benchmark: Pick<DecodingBenchmark, "model" | "batch" | "time" | "outputTime" | "beams">,
): MatrixProduct[] {
  const { model, batch, time, outputTime, beams } = benchmark;
  const { layers, dModel, heads, dFeedForward, vocabulary } = model;
  const [dHead, rows] = [dModel / heads, batch * beams];
  const feedForward = (rows: number, count: number): MatrixProduct[] => [
    constantLinear(rows, dModel, dFeedForward, count),
    constantLinear(rows, dFeedForward, dModel, count),
  ];
  const attention = (batch: number, queries: number, keys: number, count: number): MatrixProduct[] => [
    product({ batch, rows: queries, inner: dHead, columns: keys, transposeB: true, count }),
    product({ batch, rows: queries, inner: keys, columns: dHead, count }),
  ];
  const steps = Array.from({ length: outputTime }, (_, position) => attention(rows * heads, 1, position + 1, layers));
  return merge([
    constantLinear(batch * time, dModel, dModel, 4 * layers),
    ...attention(batch * heads, time, time, layers),
    ...feedForward(batch * time, layers),
    constantLinear(batch * time, dModel, dModel, 2 * layers),
    // A step: four products of self-attention, query and output of cross-attention.
    constantLinear(rows, dModel, dModel, 6 * layers * outputTime),
    ...steps.flat(),
    ...attention(batch * heads, beams, time, layers * outputTime),
    ...feedForward(rows, layers * outputTime),
    product({ rows, inner: dModel, columns: vocabulary, transposeB: true, constantB: true, count: outputTime }),
  ]);
}

/** What a model's sizes say about the products of one call of a benchmark. */
export function productsFromSizes(benchmark: TrainingBenchmark | DecodingBenchmark): MatrixProduct[] {
  return benchmark.kind === "training" ? trainingProducts(benchmark) : decodingProducts(benchmark);
}
