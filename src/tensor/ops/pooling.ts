// Pooling: one value for each window of the spatial axes of [batch, channels, ..].
import { mulDims, sizeOf, type Dim } from "../dim.ts";
import { operation, shapeError, wantFloats, type Tensor, type TensorType } from "../graph.ts";
import {
  inputGradient,
  windowOf,
  windowPlaces,
  type ConvolutionOptions,
  type PerAxis,
  type Window,
} from "./convolution.ts";
import { scalar } from "./elementwise.ts";
import { scatterElementsAdd, zeros } from "./indexing.ts";
import { expand, reshape } from "./layout.ts";

export interface PoolOptions extends Pick<ConvolutionOptions, "stride" | "padding"> {
  /** Length of the window. */
  size: PerAxis<number>;
}

interface PoolAttributes extends Window {
  readonly [key: string]: unknown;
  readonly sizes: readonly number[];
}

function poolType(name: string, x: TensorType, attributes: PoolAttributes): TensorType {
  wantFloats(name, [x]);
  const { sizes, before, after } = attributes;
  const wide = sizes.findIndex((size, axis) => before[axis]! >= size || after[axis]! >= size);
  if (wide >= 0)
    throw shapeError(name, [x], `padding of axis ${wide + 2} must be shorter than the window of ${sizes[wide]}`);
  const places = x.shape.slice(2).map((length, axis) => windowPlaces(length, sizes[axis]!, axis, attributes));
  const short = places.findIndex((count) => typeof count === "number" && count < 1);
  if (short >= 0) throw shapeError(name, [x], `axis ${short + 2} is shorter than the window of ${sizes[short]}`);
  return { dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...places] };
}

function poolAttributes(name: string, x: Tensor, { size, stride = size, padding = 0 }: PoolOptions): PoolAttributes {
  const { strides: sizes } = windowOf(name, x, { stride: size });
  return { ...windowOf(name, x, { stride, padding }), sizes };
}

const onnxAttributes = ({ sizes, strides, before, after }: PoolAttributes) => ({
  kernel_shape: { ints: sizes },
  strides: { ints: strides },
  pads: { ints: [...before, ...after] },
});

const windows = [
  { shape: [2, 3, 8], sizes: [2], strides: [2], dilations: [1], before: [0], after: [0] },
  { shape: [2, 2, 9], sizes: [3], strides: [2], dilations: [1], before: [1], after: [1] },
  { shape: [1, 2, 5, 6], sizes: [3, 2], strides: [1, 2], dilations: [1, 1], before: [1, 0], after: [0, 1] },
];

const applyAveragePool = operation<PoolAttributes>({
  name: "averagePool",
  type: ([x], attributes) => poolType("averagePool", x!, attributes),
  // Every place of a window gets the same share: a transposed convolution of each channel with a constant kernel.
  gradient: ({ dy, inputs: [x], attributes: { sizes, ...window } }) => {
    const [batch, channels, ...spatial] = x!.shape as [Dim, Dim, ...Dim[]];
    const images = mulDims(batch, channels);
    const share = 1 / sizes.reduce((product, size) => product * size, 1);
    const kernel = expand(scalar(share, x!.dtype), [1, 1, ...sizes]);
    const flowing = inputGradient(reshape(dy, [images, 1, ...dy.shape.slice(2)]), kernel, [images, 1, ...spatial], {
      ...window,
      groups: 1,
    });
    return [reshape(flowing, x!.shape)];
  },
  onnx: (emitter, inputs, _, attributes) =>
    emitter.one("AveragePool", inputs, {
      attributes: { ...onnxAttributes(attributes), count_include_pad: { int: 1 } },
    }),
  samples: windows.map(({ shape, ...attributes }) => ({
    inputs: [{ shape }],
    attributes,
    float32: true,
    tolerance: 1e-2,
  })),
});

/** The mean of each window, padding counted as zeros; the stride is the window's length if not said. */
export function averagePool(x: Tensor, options: PoolOptions): Tensor {
  return applyAveragePool([x], poolAttributes("averagePool", x, options))[0]!;
}

const applyMaxPool = operation<PoolAttributes>({
  name: "maxPool",
  type: ([x], attributes) => {
    const type = poolType("maxPool", x!, attributes);
    return [type, { dtype: "int64", shape: type.shape }];
  },
  // The second output says where in the flattened x each maximum stood.
  gradient: ({ dy, inputs: [x], outputs: [, places] }) => {
    const count = sizeOf(dy.shape);
    const flat = scatterElementsAdd(
      zeros({ dtype: dy.dtype, shape: [sizeOf(x!.shape)] }),
      reshape(places!, [count]),
      reshape(dy, [count]),
      0,
    );
    return [reshape(flat, x!.shape)];
  },
  onnx: (emitter, inputs, _, attributes) =>
    emitter.all("MaxPool", inputs, { attributes: onnxAttributes(attributes), outputs: 2 }),
  samples: windows.map(({ shape, ...attributes }) => ({ inputs: [{ shape }], attributes })),
});

/** The largest value of each window; the first of equals gets the gradient. The runtime's kernel passes over NaN. */
export function maxPool(x: Tensor, options: PoolOptions): Tensor {
  return applyMaxPool([x], poolAttributes("maxPool", x, options))[0]!;
}
