// Choosing by index, each beside its adjoint: gather with scatterAdd, pick with scatterElementsAdd, order,
// and what is made of ids.
import { hostTensor, type DType } from "../../base/index.ts";
import { equalDims, equalShapes, mulDims, sizeOf, type Dim, type Shape } from "../dim.ts";
import { constant, operation, shapeError, wantNumbers, type Tensor, type TensorType } from "../graph.ts";
import { cast, equal } from "./elementwise.ts";
import { expand, reshape, resolveAxis, transpose } from "./layout.ts";

const isIndex = ({ dtype }: TensorType): boolean => dtype === "int32" || dtype === "int64";

/** Zeros of any shape. */
export function zeros(type: TensorType): Tensor {
  return expand(constant(hostTensor(type.dtype, [], [0])), type.shape);
}

const applyGather = operation<{ readonly axis: number }>({
  name: "gather",
  type: (inputs, { axis }) => {
    const [table, ids] = inputs as readonly [TensorType, TensorType];
    if (!isIndex(ids)) throw shapeError("gather", inputs, "ids must be int32 or int64");
    if (table.shape.length <= axis) throw shapeError("gather", inputs, `the table has no axis ${axis}`);
    return { dtype: table.dtype, shape: [...table.shape.slice(0, axis), ...ids.shape, ...table.shape.slice(axis + 1)] };
  },
  gradient: ({ dy, inputs: [table, ids], attributes: { axis } }) => {
    const count = sizeOf(ids!.shape);
    const flatIds = reshape(ids!, [count]);
    const [leading, trailing] = [table!.shape.slice(0, axis), table!.shape.slice(axis + 1)];
    if (axis === 0) return [scatterAdd(zeros(table!), flatIds, reshape(dy, [count, ...trailing])), undefined];
    // Scattering wants its rows first.
    const rows = moveAxis(reshape(dy, [...leading, count, ...trailing]), axis, 0);
    const base = zeros({ dtype: dy.dtype, shape: [table!.shape[axis]!, ...leading, ...trailing] });
    return [moveAxis(scatterAdd(base, flatIds, rows), 0, axis), undefined];
  },
  onnx: (emitter, inputs, _, { axis }) => emitter.one("Gather", inputs, { attributes: { axis: { int: axis } } }),
  samples: [
    { inputs: [{ shape: [5, 3] }, { shape: [2, 4], dtype: "int32", range: [0, 5] }], attributes: { axis: 0 } },
    { inputs: [{ shape: [2, 5, 3] }, { shape: [4], dtype: "int64", range: [0, 5] }], attributes: { axis: 1 } },
    { inputs: [{ shape: [2, 5] }, { shape: [2, 4], dtype: "int32", range: [0, 5] }], attributes: { axis: 1 } },
  ],
});

const moveAxis = (x: Tensor, from: number, to: number): Tensor => {
  const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== from);
  return transpose(x, others.toSpliced(to, 0, from));
};

/**
 * Slices of an axis by id; along the first axis rows of a table, as every embedding does:
 * table [rows, ..] and ids [..ids] → [..ids, ..]. Ids from −size to −1 count from the end.
 */
export function gather(table: Tensor, ids: Tensor, axis = 0): Tensor {
  return applyGather([table, ids], { axis: axis < 0 ? resolveAxis("gather", table, axis) : axis })[0]!;
}

const applyScatterAdd = operation({
  name: "scatterAdd",
  type: (inputs) => {
    const [base, ids, updates] = inputs as readonly [TensorType, TensorType, TensorType];
    if (!isIndex(ids)) throw shapeError("scatterAdd", inputs, "ids must be int32 or int64");
    wantNumbers("scatterAdd", [base]);
    if (base.dtype !== updates.dtype) throw shapeError("scatterAdd", inputs, "dtypes of base and updates differ");
    if (base.shape.length === 0 || ids.shape.length !== 1 || updates.shape.length !== base.shape.length) {
      throw shapeError("scatterAdd", inputs, "base [rows, ..], ids [n] and updates [n, ..] are wanted");
    }
    const wanted: Shape = [ids.shape[0]!, ...base.shape.slice(1)];
    const apart = updates.shape.findIndex((size, axis) => !equalDims(size, wanted[axis]!));
    if (apart >= 0) {
      throw shapeError(
        "scatterAdd",
        inputs,
        `axis ${apart} of the updates is ${updates.shape[apart]}, where ${wanted[apart]} is wanted`,
      );
    }
    return base;
  },
  gradient: ({ dy, inputs: [, ids] }) => [dy, undefined, gather(dy, ids!)],
  // ScatterND would add whole rows, but with several threads the runtime's kernel loses some of those that meet in one row
  // (microsoft/onnxruntime#18048). ScatterElements adds one after another; over one flat axis it takes a third of the time
  // that it takes over two: 6 ms for 12,288 rows of 128.
  onnx: (emitter, [base, ids, updates], node) => {
    const [table, { shape: count }, rows] = node.inputs as readonly [Tensor, Tensor, Tensor];
    const width = sizeOf(table.shape.slice(1));
    const wide = emitter.cast(ids!, "int64");
    let places = wide;
    if (width !== 1) {
      const columns = emitter.one("Range", [
        emitter.scalar(0, "int64"),
        emitter.one("Squeeze", [emitter.size(width)]),
        emitter.scalar(1, "int64"),
      ]);
      const starts = emitter.one("Mul", [emitter.reshape(wide, count, [...count, 1]), emitter.size(width)]);
      places = emitter.reshape(emitter.one("Add", [starts, columns]), [...count, width], [mulDims(count[0]!, width)]);
    }
    const flat = [sizeOf(table.shape)];
    const operands = [
      emitter.reshape(base!, table.shape, flat),
      places,
      emitter.reshape(updates!, rows.shape, [sizeOf(rows.shape)]),
    ];
    const total = emitter.one("ScatterElements", operands, {
      attributes: { axis: { int: 0 }, reduction: { string: "add" } },
    });
    return emitter.reshape(total, flat, table.shape);
  },
  samples: [[2], [], [2, 2]].map((rest) => ({
    inputs: [{ shape: [3, ...rest] }, { shape: [5], dtype: "int32", range: [0, 3] }, { shape: [5, ...rest] }],
  })),
});

/** base with updates [n, ..] added to its rows ids [n]; a row named twice gets both. */
export function scatterAdd(base: Tensor, ids: Tensor, updates: Tensor): Tensor {
  return applyScatterAdd([base, ids, updates], {})[0]!;
}

const pickType = (name: string, inputs: readonly TensorType[], axis: number): TensorType => {
  const [x, ids] = inputs as readonly [TensorType, TensorType];
  if (!isIndex(ids)) throw shapeError(name, inputs, "ids must be int32 or int64");
  if (ids.shape.length !== x.shape.length) throw shapeError(name, inputs, "the numbers of axes differ");
  const apart = ids.shape.findIndex((size, i) => i !== axis && !equalDims(size, x.shape[i]!));
  if (apart >= 0)
    throw shapeError(name, inputs, `axis ${apart} does not meet: ${x.shape[apart]} and ${ids.shape[apart]}`);
  return { dtype: x.dtype, shape: ids.shape };
};

const applyPick = operation<{ readonly axis: number }>({
  name: "pick",
  type: (inputs, { axis }) => pickType("pick", inputs, axis),
  gradient: ({ dy, inputs: [x, ids], attributes: { axis } }) => [
    scatterElementsAdd(zeros(x!), ids!, dy, axis),
    undefined,
  ],
  onnx: (emitter, inputs, _, { axis }) =>
    emitter.one("GatherElements", inputs, { attributes: { axis: { int: axis } } }),
  samples: [{ inputs: [{ shape: [3, 5] }, { shape: [3, 2], dtype: "int32", range: [0, 5] }], attributes: { axis: 1 } }],
});

/** One value an index along an axis: pick(x, ids, 1)[i, j] = x[i, ids[i, j]]. */
export function pick(x: Tensor, ids: Tensor, axis: number): Tensor {
  return applyPick([x, ids], { axis: resolveAxis("pick", x, axis) })[0]!;
}

const applyScatterElementsAdd = operation<{ readonly axis: number }>({
  name: "scatterElementsAdd",
  type: (inputs, { axis }) => {
    const [base, ids, updates] = inputs as readonly [TensorType, TensorType, TensorType];
    wantNumbers("scatterElementsAdd", [base]);
    if (base.dtype !== updates.dtype)
      throw shapeError("scatterElementsAdd", inputs, "dtypes of base and updates differ");
    if (!equalShapes(pickType("scatterElementsAdd", [base, ids], axis).shape, updates.shape)) {
      throw shapeError("scatterElementsAdd", inputs, "updates must have the shape of ids");
    }
    return base;
  },
  gradient: ({ dy, inputs: [, ids], attributes: { axis } }) => [dy, undefined, pick(dy, ids!, axis)],
  onnx: (emitter, inputs, _, { axis }) =>
    emitter.one("ScatterElements", inputs, { attributes: { axis: { int: axis }, reduction: { string: "add" } } }),
  samples: [
    {
      inputs: [{ shape: [3, 4] }, { shape: [3, 5], dtype: "int32", range: [0, 4] }, { shape: [3, 5] }],
      attributes: { axis: 1 },
    },
  ],
});

/** base with updates added at the places that `pick` would read. */
export function scatterElementsAdd(base: Tensor, ids: Tensor, updates: Tensor, axis: number): Tensor {
  return applyScatterElementsAdd([base, ids, updates], { axis: resolveAxis("scatterElementsAdd", base, axis) })[0]!;
}

interface TopKAttributes {
  readonly [key: string]: unknown;
  readonly count: Dim;
  readonly smallest: boolean;
}

const applyTopK = operation<TopKAttributes>({
  name: "topK",
  type: ([x], { count }) => {
    wantNumbers("topK", [x!]);
    const last = x!.shape.at(-1);
    const tooMany = typeof last === "number" && typeof count === "number" && count > last;
    if (last === undefined || tooMany || (typeof count === "number" && (!Number.isInteger(count) || count < 0))) {
      throw shapeError("topK", [x!], `axis -1 has no ${count} values`);
    }
    const shape = [...x!.shape.slice(0, -1), count];
    return [
      { dtype: x!.dtype, shape },
      { dtype: "int64", shape },
    ];
  },
  gradient: ({ dy, inputs: [x], outputs: [, ids] }) => [scatterElementsAdd(zeros(x!), ids!, dy, x!.rank - 1)],
  onnx: (emitter, [x], _, { count, smallest }) =>
    emitter.all("TopK", [x!, emitter.size(count)], {
      attributes: { axis: { int: -1 }, largest: { int: smallest ? 0 : 1 } },
      outputs: 2,
    }),
  samples: [false, true].map((smallest) => ({ inputs: [{ shape: [3, 7] }], attributes: { count: 2, smallest } })),
});

/**
 * The largest (or smallest) values of the last axis in order, and where they are (int64); among equals the first comes first.
 * The runtime's kernel misplaces NaN.
 */
export function topK(
  x: Tensor,
  count: Dim,
  { smallest = false }: { smallest?: boolean } = {},
): { values: Tensor; ids: Tensor } {
  const [values, ids] = applyTopK([x], { count, smallest });
  return { values: values!, ids: ids! };
}

/** The last axis in rising order (falling where `descending`), and where each value stood (int64); equals keep their order. */
export function sort(
  x: Tensor,
  { descending = false }: { descending?: boolean } = {},
): { values: Tensor; ids: Tensor } {
  const last = x.shape.at(-1);
  if (last === undefined) throw shapeError("sort", [x], "at least one axis is wanted");
  return topK(x, last, { smallest: !descending });
}

/** Where each value of the sorted last axis stood (int64). */
export function argsort(x: Tensor, { descending = false }: { descending?: boolean } = {}): Tensor {
  return sort(x, { descending }).ids;
}

const applyArgmax = operation<{ readonly axis: number }>({
  name: "argmax",
  type: ([x], { axis }) => {
    wantNumbers("argmax", [x!]);
    return { dtype: "int64", shape: x!.shape.filter((_, i) => i !== axis) };
  },
  onnx: (emitter, [x], _, { axis }) =>
    emitter.one("ArgMax", [x!], { attributes: { axis: { int: axis }, keepdims: { int: 0 } } }),
  samples: [{ inputs: [{ shape: [2, 5] }], attributes: { axis: 1 } }],
});

/** Where the largest value of an axis is, as int32; the first of equals. */
export function argmax(x: Tensor, axis = -1): Tensor {
  return cast(applyArgmax([x], { axis: resolveAxis("argmax", x, axis) })[0]!, "int32");
}

const applyRange = operation<{ readonly size: Shape[number] }>({
  name: "range",
  type: (_, { size }) => ({ dtype: "int32", shape: [size] }),
  onnx: (emitter, _, __, { size }) => {
    const limit = emitter.one("Squeeze", [emitter.size(size)]);
    return emitter.cast(emitter.one("Range", [emitter.scalar(0, "int64"), limit, emitter.scalar(1, "int64")]), "int32");
  },
  samples: [{ inputs: [], attributes: { size: 4 } }],
});

/** 0, 1, … size − 1 as int32; positions of an axis. */
export function range(size: Shape[number]): Tensor {
  return applyRange([], { size })[0]!;
}

/** 1 at each id and 0 elsewhere: ids [..] of int32 → [.., count]. An id outside gets a row of zeros. */
export function oneHot(ids: Tensor, count: Dim, dtype: DType = "float32"): Tensor {
  if (!isIndex(ids)) throw shapeError("oneHot", [ids], "ids must be int32 or int64");
  return cast(equal(reshape(ids, [...ids.shape, 1]), cast(range(count), ids.dtype)), dtype);
}
