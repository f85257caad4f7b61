// The floor under a piece of work: the time of its matrix products alone, one after the other in ONNX Runtime.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { RandomStream, randomKey, type HostTensor } from "../src/base/index.ts";
import {
  encodeOnnx,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxValue,
} from "../src/formats/index.ts";
import type { MatrixProduct } from "./products.ts";
import type { Side } from "./rounds.ts";

/**
 * Times a list of products, each as often as it occurs. Create it with `Floor.of`; it owns native memory until `dispose`.
 * All of them are one graph in one session: the idle threads of a session of its own for each would spin against the one
 * that works, and on two cores that took three times as long as the products themselves.
 */
export class Floor implements Side {
  readonly name = "floor";
  readonly #session: InferenceSession;
  readonly #feeds: Record<string, Tensor>;

  private constructor(session: InferenceSession, feeds: Record<string, Tensor>) {
    this.#session = session;
    this.#feeds = feeds;
  }

  static async of(products: readonly MatrixProduct[], threads: number): Promise<Floor> {
    const arrays = new ArrayPool();
    const operands = products.map((product) => {
      const [a, b] = operandDims(product).map(
        (dims) => ({ dtype: "float32", dims, data: arrays.ofLength(dims) }) as const,
      );
      return { a: a!, b: b! };
    });
    const session = await InferenceSession.create(encodeOnnx(productsModel(products, operands)), {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // Equal products would be found to be one.
      graphOptimizationLevel: "disabled",
      enableMemPattern: false,
      logSeverityLevel: 3,
    });
    const feeds = products.flatMap(({ constantB }, i) => {
      const { a, b } = operands[i]!;
      const first = [`a.${i}`, new Tensor("float32", a.data, a.dims)] as const;
      return constantB ? [first] : [first, [`b.${i}`, new Tensor("float32", b.data, b.dims)] as const];
    });
    return new Floor(session, Object.fromEntries(feeds));
  }

  /** Each number is the milliseconds of the whole list. */
  async work(count: number): Promise<number[]> {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await this.#session.run(this.#feeds);
      times.push(performance.now() - start);
    }
    return times;
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
 * Every product as often as it occurs, in one graph. What comes out is each product's shape, not the product: the binding
 * copies every output, and a copy of the logits would take longer than making them.
 */
function productsModel(
  products: readonly MatrixProduct[],
  operands: readonly { a: HostTensor; b: HostTensor }[],
): OnnxModel {
  const inputs: OnnxValue[] = [];
  const initializers: OnnxInitializer[] = [];
  const nodes: OnnxNode[] = [];
  const outputs: OnnxValue[] = [];
  for (const [i, product] of products.entries()) {
    const { a, b } = operands[i]!;
    inputs.push({ name: `a.${i}`, dtype: "float32", dims: a.dims });
    if (product.constantB) initializers.push({ name: `b.${i}`, tensor: b });
    else inputs.push({ name: `b.${i}`, dtype: "float32", dims: b.dims });
    for (let copy = 0; copy < product.count; copy++) {
      const name = `product.${i}.${copy}`;
      nodes.push(kernel(product, [`a.${i}`, `b.${i}`], name));
      nodes.push({ op: "Shape", name: `${name}.shape`, inputs: [name], outputs: [`${name}.shape`] });
      outputs.push({ name: `${name}.shape`, dtype: "int64", dims: [a.dims.length] });
    }
  }
  return { opsets: { "": 17, "com.microsoft": 1 }, graph: { name: "products", inputs, outputs, initializers, nodes } };
}

function kernel({ batch, transposeA, transposeB }: MatrixProduct, inputs: readonly string[], output: string): OnnxNode {
  const attributes = { transA: { int: transposeA ? 1 : 0 }, transB: { int: transposeB ? 1 : 0 } };
  const ends = { name: output, inputs, outputs: [output] };
  if (batch === 1) return { op: "Gemm", ...ends, attributes };
  if (!transposeA && !transposeB) return { op: "MatMul", ...ends };
  return { op: "FusedMatMul", domain: "com.microsoft", ...ends, attributes };
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
