// Matrix products. Everything heavy in a Transformer is one of these.
import { broadcast } from "../broadcast.ts";
import { equalDims, sizeOf, type Shape } from "../dim.ts";
import type { Emitter } from "../emitter.ts";
import { operation, shapeError, wantFloats, type Tensor, type TensorType } from "../graph.ts";
import { reshape, sum, sumTo } from "./layout.ts";

export interface MatmulOptions {
  /** Whether the last two axes of a are swapped first. */
  transposeA?: boolean;
  /** Whether the last two axes of b are swapped first. */
  transposeB?: boolean;
  /** Factor on the product; free where the runtime has it in the product itself. */
  alpha?: number;
}

interface MatmulAttributes {
  readonly [key: string]: unknown;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly alpha: number;
}

const lastTwo = ({ shape }: TensorType, swapped: boolean): Shape =>
  swapped ? [shape.at(-1)!, shape.at(-2)!] : shape.slice(-2);

function matmulType(
  name: string,
  inputs: readonly TensorType[],
  { transposeA, transposeB }: MatmulAttributes,
): TensorType {
  const [a, b] = inputs as readonly [TensorType, TensorType];
  if (a.dtype !== b.dtype) throw shapeError(name, inputs, "dtypes differ; cast one of them");
  wantFloats(name, inputs);
  if (a.shape.length < 2 || b.shape.length < 2)
    throw shapeError(name, inputs, "at least two axes on each side are wanted");
  const [rows, inner] = lastTwo(a, transposeA) as readonly [Shape[0], Shape[0]];
  const [meets, columns] = lastTwo(b, transposeB) as readonly [Shape[0], Shape[0]];
  if (!equalDims(inner, meets)) {
    const axes = `axis ${transposeA ? -2 : -1} of a and axis ${transposeB ? -1 : -2} of b`;
    throw shapeError(name, inputs, `${axes} do not meet: ${inner} and ${meets}`);
  }
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if ("offendingAxis" in batch) {
    const axis = batch.offendingAxis - 2;
    throw shapeError(name, inputs, `axis ${axis} does not meet: ${a.shape.at(axis)} and ${b.shape.at(axis)}`);
  }
  return { dtype: a.dtype, shape: [...batch.shape, rows, columns] };
}

/** Names of the values a product is written from: a, b and, where there is one, the bias added to each row. */
interface Operands {
  readonly a: string;
  readonly b: string;
  readonly bias?: string;
}

function emitProduct(
  emitter: Emitter,
  { a, b, bias }: Operands,
  types: readonly TensorType[],
  out: TensorType,
  attributes: MatmulAttributes,
): string {
  const [left, right] = types as readonly [TensorType, TensorType];
  const { transposeA, transposeB, alpha } = attributes;
  if (right.shape.length === 2 && (left.shape.length === 2 || !transposeA)) {
    // All leading axes of a are rows of one product.
    const flatShape = left.shape.length === 2 ? left.shape : [sizeOf(left.shape.slice(0, -1)), left.shape.at(-1)!];
    const flat = emitter.reshape(a, left.shape, flatShape);
    const product = emitter.one("Gemm", bias === undefined ? [flat, b] : [flat, b, bias], {
      attributes: { transA: { int: transposeA ? 1 : 0 }, transB: { int: transposeB ? 1 : 0 }, alpha: { float: alpha } },
    });
    return emitter.reshape(product, [sizeOf(out.shape.slice(0, -1)), out.shape.at(-1)!], out.shape);
  }
  if (emitter.contrib && out.dtype === "float32" && (transposeA || transposeB || alpha !== 1)) {
    return emitter.one("FusedMatMul", [a, b], {
      domain: "com.microsoft",
      attributes: { transA: { int: transposeA ? 1 : 0 }, transB: { int: transposeB ? 1 : 0 }, alpha: { float: alpha } },
    });
  }
  const swapped = (name: string, { shape }: TensorType): string => {
    const axes = shape.map((_, axis) => axis);
    return emitter.one("Transpose", [name], {
      attributes: { perm: { ints: [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!] } },
    });
  };
  const product = emitter.one("MatMul", [transposeA ? swapped(a, left) : a, transposeB ? swapped(b, right) : b]);
  return alpha === 1 ? product : emitter.one("Mul", [product, emitter.scalar(alpha, out.dtype)]);
}

/** The two adjoints of y = alpha op(a) op(b), each again one product. */
function matmulGradients(
  dy: Tensor,
  a: Tensor,
  b: Tensor,
  { transposeA, transposeB, alpha }: MatmulAttributes,
  wants: (input: number) => boolean,
) {
  const da = (): Tensor =>
    transposeA
      ? matmul(b, dy, { transposeA: transposeB, transposeB: true, alpha })
      : matmul(dy, b, { transposeB: !transposeB, alpha });
  const db = (): Tensor => {
    if (b.rank === 2 && a.rank > 2 && !transposeA) {
      // One product over all rows instead of a product a batch entry and a sum.
      const rows = reshape(a, [-1, a.shape.at(-1)!]);
      const changes = reshape(dy, [-1, dy.shape.at(-1)!]);
      return transposeB
        ? matmul(changes, rows, { transposeA: true, alpha })
        : matmul(rows, changes, { transposeA: true, alpha });
    }
    return transposeB
      ? matmul(dy, a, { transposeA: true, transposeB: transposeA, alpha })
      : matmul(a, dy, { transposeA: !transposeA, alpha });
  };
  return [wants(0) ? sumTo(da(), a.shape) : undefined, wants(1) ? sumTo(db(), b.shape) : undefined];
}

const applyMatmul = operation<MatmulAttributes>({
  name: "matmul",
  type: (inputs, attributes) => matmulType("matmul", inputs, attributes),
  gradient: ({ dy, inputs: [a, b], attributes, wants }) => matmulGradients(dy, a!, b!, attributes, wants),
  onnx: (emitter, [a, b], node, attributes) =>
    emitProduct(emitter, { a: a!, b: b! }, node.inputs, node.outputs[0]!, attributes),
  samples: [false, true].flatMap((transposeA) =>
    [false, true].flatMap((transposeB) => {
      const attributes = { transposeA, transposeB, alpha: 0.5 };
      const a = transposeA ? [3, 2] : [2, 3];
      const b = transposeB ? [4, 3] : [3, 4];
      return [
        { inputs: [{ shape: a }, { shape: b }], attributes },
        { inputs: [{ shape: [2, 1, ...a] }, { shape: [3, ...b] }], attributes },
        { inputs: [{ shape: [2, ...a] }, { shape: b }], attributes },
      ];
    }),
  ),
});

/**
 * Matrix product over the last two axes, the others broadcast: [.., rows, inner] × [.., inner, columns] → [.., rows, columns].
 * @example matmul(query, key, { transposeB: true, alpha: 1 / Math.sqrt(dHead) })
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false, alpha = 1 }: MatmulOptions = {},
): Tensor {
  return applyMatmul([a, b], { transposeA, transposeB, alpha })[0]!;
}

const applyAffine = operation<MatmulAttributes>({
  name: "affine",
  type: (inputs, attributes) => {
    const [x, weight, bias] = inputs as readonly [TensorType, TensorType, TensorType];
    if (weight.shape.length !== 2) throw shapeError("affine", inputs, "the weight must have two axes");
    const out = matmulType("affine", [x, weight], attributes);
    if (bias.dtype !== out.dtype || bias.shape.length !== 1 || !equalDims(bias.shape[0]!, out.shape.at(-1)!)) {
      throw shapeError("affine", inputs, `a bias of [${out.shape.at(-1)}] is wanted`);
    }
    return out;
  },
  gradient: ({ dy, inputs: [x, weight], attributes, wants }) => [
    ...matmulGradients(dy, x!, weight!, attributes, wants),
    wants(2) ? sum(dy, { axes: dy.shape.map((_, axis) => axis).slice(0, -1) }) : undefined,
  ],
  onnx: (emitter, [a, b, bias], node, attributes) =>
    emitProduct(emitter, { a: a!, b: b!, bias: bias! }, node.inputs, node.outputs[0]!, attributes),
  samples: [false, true].flatMap((transposeB) =>
    [[5], [2, 3]].map((rows) => ({
      inputs: [{ shape: [...rows, 3] }, { shape: transposeB ? [4, 3] : [3, 4] }, { shape: [4] }],
      attributes: { transposeA: false, transposeB, alpha: 1 },
    })),
  ),
});

/** x W + b over the last axis: [.., from] × [from, to] + [to] → [.., to]; with `transposeB` the weight is [to, from]. */
export function affine(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  { transposeB = false }: { transposeB?: boolean } = {},
): Tensor {
  const attributes = { transposeA: false, transposeB, alpha: 1 };
  if (bias === undefined) return matmul(x, weight, attributes);
  return applyAffine([x, weight, bias], attributes)[0]!;
}
