// Turning pairs of numbers by given angles, as rotary positions do.
import { equalDims, equalShapes, sizeOf, type Shape } from "../dim.ts";
import { operation, shapeError, wantFloats, type Tensor, type TensorType } from "../graph.ts";
import { add, mul, neg, sub } from "./elementwise.ts";
import { reshape, slice, sumTo } from "./layout.ts";

/** Which numbers of the last axis make a pair: i and i + pairs, or 2i and 2i + 1. */
export type PairLayout = "halves" | "interleaved";

type Attributes = Readonly<Record<string, unknown>> & { readonly layout: PairLayout };

function rotationType(inputs: readonly TensorType[]): TensorType {
  const [x, cosine, sine] = inputs as readonly [TensorType, TensorType, TensorType];
  wantFloats("rotatePairs", inputs);
  if (x.shape.length < 2) throw shapeError("rotatePairs", inputs, "x [.., time, width] is wanted");
  const [time, width] = x.shape.slice(-2) as [Shape[0], Shape[0]];
  const [rows, pairs] = cosine.shape;
  const fits =
    cosine.dtype === x.dtype &&
    sine.dtype === x.dtype &&
    equalShapes(cosine.shape, sine.shape) &&
    cosine.shape.length === 2 &&
    (rows === 1 || equalDims(rows!, time));
  if (!fits)
    throw shapeError(
      "rotatePairs",
      inputs,
      `cosine and sine of ${x.dtype} [${time} or 1, pairs] are wanted, both alike`,
    );
  if (typeof width !== "number" || typeof pairs !== "number" || pairs < 1 || 2 * pairs > width)
    throw shapeError("rotatePairs", inputs, `axis -1 is ${width}, which does not hold ${pairs} pairs`);
  return x;
}

/** The first and the second number of each pair: [.., pairs] each. */
function pairsOf(x: Tensor, pairs: number, layout: PairLayout): readonly [Tensor, Tensor] {
  const part = (start: number, size: number, of = x): Tensor => slice(of, { axis: -1, start, end: start + size });
  if (layout === "halves") return [part(0, pairs), part(pairs, pairs)];
  const leading = x.shape.slice(0, -1);
  const split = reshape(part(0, 2 * pairs), [...leading, pairs, 2]);
  return [reshape(part(0, 1, split), [...leading, pairs]), reshape(part(1, 1, split), [...leading, pairs])];
}

const applyRotation = operation<Attributes>({
  name: "rotatePairs",
  type: rotationType,
  // The way back of a turn (with any scale) is the turn the other way.
  gradient: ({ dy, inputs: [x, cosine, sine], attributes: { layout }, wants }) => {
    const pairs = cosine!.shape[1] as number;
    const [[a, b], [da, db]] = [pairsOf(x!, pairs, layout), pairsOf(dy, pairs, layout)];
    return [
      wants(0) ? rotatePairs(dy, cosine!, neg(sine!), { layout }) : undefined,
      wants(1) ? sumTo(add(mul(da, a), mul(db, b)), cosine!.shape) : undefined,
      wants(2) ? sumTo(sub(mul(db, a), mul(da, b)), sine!.shape) : undefined,
    ];
  },
  onnx: (emitter, [x, cosine, sine], node, { layout }) => {
    const [{ shape, dtype }, { shape: tableShape }] = node.inputs as readonly [Tensor, Tensor];
    const [width, pairs] = [shape.at(-1) as number, tableShape[1] as number];
    if (emitter.contrib && dtype === "float32") {
      // The kernel turns row i of the tables' time; where all stands at one place, every row is a sequence of length 1.
      const isOnePlace = tableShape[0] === 1;
      const sequences = sizeOf(shape.slice(0, isOnePlace ? -1 : -2));
      const flat = [sequences, 1, isOnePlace ? 1 : shape.at(-2)!, width];
      const turned = emitter.one(
        "RotaryEmbedding",
        [emitter.reshape(x!, shape, flat), emitter.int64s([0]), cosine!, sine!],
        {
          domain: "com.microsoft",
          attributes: {
            interleaved: { int: layout === "interleaved" ? 1 : 0 },
            ...(2 * pairs < width && { num_heads: { int: 1 }, rotary_embedding_dim: { int: 2 * pairs } }),
          },
        },
      );
      return emitter.reshape(turned, flat, shape);
    }
    const every = (start: number, end: number, step: number): string =>
      emitter.one("Slice", [x!, ...[start, end, -1, step].map((n) => emitter.int64s([n]))]);
    const [a, b] =
      layout === "halves"
        ? [every(0, pairs, 1), every(pairs, 2 * pairs, 1)]
        : [every(0, 2 * pairs, 2), every(1, 2 * pairs, 2)];
    const product = (value: string, table: string): string => emitter.one("Mul", [value, table]);
    const both = [
      emitter.one("Sub", [product(a, cosine!), product(b, sine!)]),
      emitter.one("Add", [product(b, cosine!), product(a, sine!)]),
    ];
    const join = (parts: readonly string[]): string =>
      emitter.one("Concat", parts, { attributes: { axis: { int: -1 } } });
    const rest = 2 * pairs < width ? [every(2 * pairs, width, 1)] : [];
    if (layout === "halves") return join([...both, ...rest]);
    const halves = [...shape.slice(0, -1), pairs];
    const paired = join(both.map((value) => emitter.reshape(value, halves, [...halves, 1])));
    return join([emitter.reshape(paired, [...halves, 2], [...shape.slice(0, -1), 2 * pairs]), ...rest]);
  },
  samples: (["halves", "interleaved"] as const).flatMap((layout) =>
    [
      [
        [2, 3, 4, 6],
        [4, 3],
      ],
      [
        [3, 5],
        [3, 2],
      ],
      [
        [2, 3, 2, 7],
        [1, 2],
      ],
    ].map(([x, table]) => ({
      inputs: [{ shape: x! }, { shape: table! }, { shape: table! }],
      attributes: { layout },
    })),
  ),
});

/**
 * Each pair (a, b) of the last axis becomes (a cos − b sin, b cos + a sin), where `cosine` and `sine` need not lie on a circle;
 * what is in no pair stays. x [.., time, width], cosine and sine [time, pairs] → [.., time, width]. With tables of one row, [1, pairs],
 * all of x is turned alike. The last axis holds its pairs in front.
 */
export function rotatePairs(
  x: Tensor,
  cosine: Tensor,
  sine: Tensor,
  { layout = "halves" }: { layout?: PairLayout } = {},
): Tensor {
  return applyRotation([x, cosine, sine], { layout })[0]!;
}
