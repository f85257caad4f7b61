import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import { ConcatenatePositions, SinusoidalPositions, sinusoidalTable } from "../../src/nn/index.ts";
import { add, dim, input, matmul, range, slice } from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";

const maxPositions = 2048;

describe.each(["interleaved", "halves"] as const)("sinusoidal positions, %s", (layout) => {
  test("PE(pos + k) is a linear function of PE(pos), one matrix for each k and all positions", () => {
    const dModel = 64;
    const table = sinusoidalTable({ dModel, maxPositions, layout });
    for (let pair = 0; pair < dModel / 2; pair++) {
      const [sine, cosine] = layout === "interleaved" ? [2 * pair, 2 * pair + 1] : [pair, dModel / 2 + pair];
      const at = (position: number): readonly [number, number] => [
        table[position * dModel + sine]!,
        table[position * dModel + cosine]!,
      ];
      for (let k = 1; k <= 64; k++) {
        // The matrix is made of one 2 × 2 block a frequency, solved from all positions at once.
        const block = leastSquares(maxPositions - k, at, (position) => at(position + k));
        let residual = 0;
        for (let position = 0; position + k < maxPositions; position++) {
          const [[s, c], to] = [at(position), at(position + k)];
          for (const column of [0, 1] as const)
            residual = Math.max(residual, Math.abs(s * block[0][column] + c * block[1][column] - to[column]));
        }
        expect(residual, `k = ${k}, pair ${pair}`).toBeLessThan(1e-5);
      }
    }
  });

  // Vaswani et al. 2017, section 3.5: sine at even places 2i, cosine at odd ones, wavelengths from 2π to 10000 · 2π.
  test("the first pair turns by 1 a position, the last by 10000^-(1 - 2/dModel)", () => {
    const table = sinusoidalTable({ dModel: 8, maxPositions: 4, layout });
    const at = (position: number, pair: number): [number, number] =>
      layout === "interleaved"
        ? [table[position * 8 + 2 * pair]!, table[position * 8 + 2 * pair + 1]!]
        : [table[position * 8 + pair]!, table[position * 8 + 4 + pair]!];
    expectClose(at(0, 2), [0, 1], { within: 1e-7 });
    expectClose(at(3, 0), [Math.sin(3), Math.cos(3)], { within: 1e-7 });
    expectClose(at(3, 3), [Math.sin(3e-3), Math.cos(3e-3)], { within: 1e-7 });
  });
});

type Pair = readonly [number, number];

/** The 2 × 2 matrix M that minimises Σ |from(r) M − to(r)|², by the normal equations. */
function leastSquares(rows: number, from: (row: number) => Pair, to: (row: number) => Pair): readonly [Pair, Pair] {
  let [ss, sc, cc] = [0, 0, 0];
  const [s, c] = [
    [0, 0],
    [0, 0],
  ] as [[number, number], [number, number]];
  for (let row = 0; row < rows; row++) {
    const [a, b] = from(row);
    const target = to(row);
    ss += a * a;
    sc += a * b;
    cc += b * b;
    for (const column of [0, 1] as const) {
      s[column] += a * target[column];
      c[column] += b * target[column];
    }
  }
  const determinant = ss * cc - sc * sc;
  const solve = (column: 0 | 1): Pair => [
    (cc * s[column] - sc * c[column]) / determinant,
    (ss * c[column] - sc * s[column]) / determinant,
  ];
  const [first, second] = [solve(0), solve(1)];
  return [
    [first[0], second[0]],
    [first[1], second[1]],
  ];
}

test("concatenating is adding two maps: [p; e] W = p W_p + e W_e", async () => {
  const join = new ConcatenatePositions({ dModel: 8 });
  const tokens = input("tokens", "float32", [dim("batch"), dim("time"), 8]);
  const positions = new SinusoidalPositions({ dModel: 8, maxPositions: 16 }).forward(range(dim("time")));
  const weight = join.project.weight.value;
  const outputs = {
    joined: join.forward(tokens, positions),
    apart: add(
      matmul(tokens, slice(weight, { axis: 0, start: 8 })),
      matmul(positions, slice(weight, { axis: 0, end: 8 })),
    ),
  };
  const run = await compile({ name: "join", inputs: { tokens, weight }, outputs }, { threads: 1 });
  const random = new RandomStream(randomKey(3));
  const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal());
  const { joined, apart } = await run.run({
    tokens: hostTensor("float32", [2, 5, 8], draw(80)),
    weight: hostTensor("float32", [16, 8], draw(128)),
  });
  expectClose(joined!.data as Float32Array, apart!.data as Float32Array, { within: 2e-6 });
  await run.dispose();
});
