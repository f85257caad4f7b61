// The floor under a piece of work: the time of its matrix products alone, each run by itself in ONNX Runtime.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { RandomStream, randomKey, type HostTensor } from "../src/base/index.ts";
import { encodeOnnx, type OnnxModel, type OnnxNode, type OnnxValue } from "../src/formats/index.ts";
import type { MatrixProduct } from "./products.ts";
import type { Side } from "./rounds.ts";

/** Products of less work than this are repeated inside one run, so that the cost of a run does not count (about 2 ms of work). */
const OPERATIONS_PER_RUN = 5e8;
const MAX_COPIES = 16;
/** Every copy of a product with a constant weight packs a weight of its own; together they must not leave the cache. */
const MAX_PACKED_BYTES = 8e6;

/** Times each product of a list alone. Create it with `Floor.of`; it owns native memory until `dispose`. */
export class Floor implements Side {
  readonly name = "floor";
  readonly #products: readonly TimedProduct[];

  private constructor(products: readonly TimedProduct[]) {
    this.#products = products;
  }

  static async of(products: readonly MatrixProduct[], threads: number): Promise<Floor> {
    const arrays = new ArrayPool();
    const timed: TimedProduct[] = [];
    for (const product of products) timed.push(await TimedProduct.create(product, threads, arrays));
    return new Floor(timed);
  }

  /** Each number is the milliseconds of the whole list, every product times its count. */
  async work(count: number): Promise<number[]> {
    const totals: number[] = [];
    for (let i = 0; i < count; i++) {
      let total = 0;
      for (const product of this.#products) total += await product.milliseconds();
      totals.push(total);
    }
    return totals;
  }

  async dispose(): Promise<void> {
    for (const product of this.#products) await product.dispose();
  }
}

class TimedProduct {
  readonly #session: InferenceSession;
  readonly #feeds: Record<string, Tensor>;
  readonly #copies: number;
  readonly #count: number;

  private constructor(session: InferenceSession, feeds: Record<string, Tensor>, copies: number, count: number) {
    this.#session = session;
    this.#feeds = feeds;
    this.#copies = copies;
    this.#count = count;
  }

  static async create(product: MatrixProduct, threads: number, arrays: ArrayPool): Promise<TimedProduct> {
    const operations = 2 * product.batch * product.rows * product.inner * product.columns;
    const packedBytes = product.constantB ? 4 * product.inner * product.columns : 0;
    const mostCopies = Math.min(MAX_COPIES, product.count, Math.floor(MAX_PACKED_BYTES / packedBytes));
    const copies = Math.max(1, Math.min(mostCopies, Math.ceil(OPERATIONS_PER_RUN / operations)));
    const [a, b] = operandDims(product).map(
      (dims) => ({ dtype: "float32", dims, data: arrays.ofLength(dims) }) as const,
    );
    const session = await InferenceSession.create(encodeOnnx(productModel(product, copies, b!)), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // Equal products would be found to be one.
      graphOptimizationLevel: "disabled",
      enableMemPattern: false,
      logSeverityLevel: 3,
    });
    const feeds: Record<string, Tensor> = { a: new Tensor("float32", a!.data, a!.dims) };
    if (!product.constantB) feeds.b = new Tensor("float32", b!.data, b!.dims);
    return new TimedProduct(session, feeds, copies, product.count);
  }

  /** One run, as the time of all `count` products. */
  async milliseconds(): Promise<number> {
    const start = performance.now();
    await this.#session.run(this.#feeds);
    return ((performance.now() - start) / this.#copies) * this.#count;
  }

  async dispose(): Promise<void> {
    await this.#session.release();
  }
}

/** How both operands lie in memory. */
function operandDims({ batch, rows, inner, columns, transposeA, transposeB }: MatrixProduct): number[][] {
  const leading = batch === 1 ? [] : [batch];
  return [
    [...leading, ...(transposeA ? [inner, rows] : [rows, inner])],
    [...leading, ...(transposeB ? [columns, inner] : [inner, columns])],
  ];
}

/**
 * `copies` equal products in one graph. What comes out is each product's shape, not the product: the binding copies every
 * output, and a copy of the logits would take longer than making them.
 */
function productModel(product: MatrixProduct, copies: number, b: HostTensor): OnnxModel {
  const { batch, transposeA, transposeB, constantB } = product;
  const attributes = { transA: { int: transposeA ? 1 : 0 }, transB: { int: transposeB ? 1 : 0 } };
  const [aDims, bDims] = operandDims(product);
  const kernel = (output: string): OnnxNode => {
    const ends = { name: output, inputs: ["a", "b"], outputs: [output] };
    if (batch === 1) return { op: "Gemm", ...ends, attributes };
    if (!transposeA && !transposeB) return { op: "MatMul", ...ends };
    return { op: "FusedMatMul", domain: "com.microsoft", ...ends, attributes };
  };
  const names = Array.from({ length: copies }, (_, i) => `product.${i}`);
  const inputs: OnnxValue[] = [{ name: "a", dtype: "float32", dims: aDims! }];
  if (!constantB) inputs.push({ name: "b", dtype: "float32", dims: bDims! });
  return {
    opsets: { "": 17, "com.microsoft": 1 },
    graph: {
      name: "products",
      inputs,
      outputs: names.map((name) => ({ name: `${name}.shape`, dtype: "int64", dims: [aDims!.length] })),
      initializers: constantB ? [{ name: "b", tensor: b }] : [],
      nodes: names.flatMap((name) => [
        kernel(name),
        { op: "Shape", name: `${name}.shape`, inputs: [name], outputs: [`${name}.shape`] },
      ]),
    },
  };
}

/** Operands of all products are views of one array: its values do not matter, except that they must not be denormal. */
class ArrayPool {
  #values = new Float32Array(0);

  ofLength(dims: readonly number[]): Float32Array<ArrayBuffer> {
    const length = dims.reduce((product, size) => product * size, 1);
    if (this.#values.length < length) {
      const random = new RandomStream(randomKey(1));
      this.#values = Float32Array.from({ length }, () => random.uniform() - 0.5);
    }
    return this.#values.subarray(0, length);
  }
}
