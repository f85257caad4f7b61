// Sinusoidal positions: a step along the sequence is one matrix for all places, and no value ever leaves [−1, 1].
import { randomKey, RandomStream } from "#base";
import { sinusoidalTable } from "heddle/nn";
import { judge, type Lab } from "./lab.ts";
import { sideBySide } from "./plots/drawing.ts";
import { heatMap } from "./plots/heat-map.ts";
import { linePlot } from "./plots/line-plot.ts";

const dModel = 64;
const shifts = [1, 2, 4, 8, 16, 32, 64] as const;
/** Largest difference between a table in float32 and what a matrix makes of it, to count as equal. */
const tolerance = 1e-5;

export const positionalEncoding: Lab = {
  name: "positional-encoding",
  claim:
    "PE(pos + k) is a linear function of PE(pos), the same for all pos; and sine suits positions because it is unbounded",
  source: "Vaswani et al. 2017, Attention Is All You Need, section 3.5",
  async run({ seed, isQuick, signal }) {
    const positions = isQuick ? 256 : 2048;
    const [far, untold] = [10 * positions, 1_000_000];
    const sinusoidal = sinusoidalTable({ dModel, maxPositions: far + 64 });
    const stream = new RandomStream(randomKey(seed));
    // What nothing but chance has written: is it the table that has the law, or would any?
    const random = Float32Array.from({ length: (positions + 64) * dModel }, () => stream.normal() * Math.SQRT1_2);

    const rows = shifts.map((shift) => {
      signal.throwIfAborted();
      const law = residual(sinusoidal, positions, shift);
      return { shift, law: law.largest, rotation: law.fromRotation, none: residual(random, positions, shift).largest };
    });
    const largest = sinusoidal.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // A row at a place far beyond any table, from the formula itself.
    const there = sineRow(untold);
    const isFinite = sinusoidal.every(Number.isFinite) && there.every(Number.isFinite);
    const nearest = smallestDistance(sinusoidal, positions);
    const worst = Math.max(...rows.map(({ law }) => law));
    const bound = Math.max(largest, ...there.map(Math.abs));

    const reaches = [0, Math.floor(positions / 4), positions];
    return {
      tables: [
        {
          title: `PE(pos + k) from PE(pos) by one matrix for all of ${positions} places, dModel ${dModel}: largest error`,
          head: ["k", "sinusoidal", "its matrix against the rotation by k·ω", "random table"],
          rows: rows.map(({ shift, law, rotation, none }) => [
            `${shift}`,
            law.toExponential(1),
            rotation.toExponential(1),
            none.toFixed(2),
          ]),
        },
        {
          title: "Beyond the places of training",
          head: ["what", "value"],
          rows: [
            [`largest |value| up to place ${far}`, largest.toFixed(6)],
            [`largest |value| at place ${untold}`, Math.max(...there.map(Math.abs)).toFixed(6)],
            [`smallest distance of two of the first ${positions} places`, nearest.toFixed(3)],
          ],
        },
      ],
      plot: sideBySide([
        heatMap({
          title: "Sinusoidal positions",
          x: "dimension 0 … 31 of 64",
          y: "position 0 … 31",
          columns: Array.from({ length: 32 }, (_, i) => `${i}`),
          rows: Array.from({ length: 32 }, (_, i) => `${i}`),
          values: Array.from({ length: 32 }, (_, i) => [...sinusoidal.subarray(i * dModel, i * dModel + 32)]),
          scale: { label: "value", from: -1, to: 1 },
          cell: 9,
        }),
        linePlot({
          title: "Likeness of two places depends on their distance alone",
          x: { label: "distance k (positions)" },
          y: { label: "PE(pos) · PE(pos + k)" },
          lines: reaches.map((from, i) => ({
            name: `pos = ${from}`,
            points: Array.from({ length: 65 }, (_, k) => [k, dot(sinusoidal, from, from + k)] as const),
            look: i * 8 + i,
          })),
        }),
      ]),
      verdict: judge(
        [worst <= tolerance, isFinite && bound > 1 + 1e-6],
        `One matrix a distance moves every place, to ${worst.toExponential(1)}: it is a rotation of each pair of dimensions. ` +
          `But sine is bounded: no value up to place ${untold.toLocaleString("en-US")} is beyond ±${bound.toFixed(3)}. ` +
          "What makes it useful past the training length is that it is defined there, and different at every place.",
      ),
    };
  },
};

/**
 * The matrix of each pair of dimensions that maps row pos to row pos + shift best over all positions (least squares), how far
 * off it is at worst, and how far from the rotation by shift · ω that the formula promises.
 */
function residual(
  table: Float32Array,
  positions: number,
  shift: number,
): { readonly largest: number; readonly fromRotation: number } {
  let [largest, fromRotation] = [0, 0];
  for (let i = 0; i < dModel; i += 2) {
    const at = (position: number): [number, number] => [
      table[position * dModel + i]!,
      table[position * dModel + i + 1]!,
    ];
    let [ss, sc, cc, s1, c1, s2, c2] = [0, 0, 0, 0, 0, 0, 0];
    for (let position = 0; position < positions; position++) {
      const [s, c] = at(position);
      const [nextS, nextC] = at(position + shift);
      ss += s * s;
      sc += s * c;
      cc += c * c;
      s1 += s * nextS;
      c1 += c * nextS;
      s2 += s * nextC;
      c2 += c * nextC;
    }
    const determinant = ss * cc - sc * sc;
    // sin(a + b) = cos b · sin a + sin b · cos a; cos(a + b) = −sin b · sin a + cos b · cos a
    const m = [
      [(s1 * cc - c1 * sc) / determinant, (c1 * ss - s1 * sc) / determinant],
      [(s2 * cc - c2 * sc) / determinant, (c2 * ss - s2 * sc) / determinant],
    ] as const;
    const angle = shift / 10_000 ** (i / dModel);
    const rotation = [
      [Math.cos(angle), Math.sin(angle)],
      [-Math.sin(angle), Math.cos(angle)],
    ] as const;
    for (const row of [0, 1] as const) {
      for (const column of [0, 1] as const)
        fromRotation = Math.max(fromRotation, Math.abs(m[row][column] - rotation[row][column]));
    }
    for (let position = 0; position < positions; position++) {
      const [s, c] = at(position);
      const next = at(position + shift);
      for (const row of [0, 1] as const)
        largest = Math.max(largest, Math.abs(m[row][0] * s + m[row][1] * c - next[row]));
    }
  }
  return { largest, fromRotation };
}

function sineRow(position: number): number[] {
  return Array.from({ length: dModel }, (_, i) => {
    const angle = position / 10_000 ** ((2 * Math.floor(i / 2)) / dModel);
    return i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}

function dot(table: Float32Array, a: number, b: number): number {
  let sum = 0;
  for (let i = 0; i < dModel; i++) sum += table[a * dModel + i]! * table[b * dModel + i]!;
  return sum;
}

/** By distance alone, so against place 0. */
function smallestDistance(table: Float32Array, positions: number): number {
  let least = Infinity;
  for (let k = 1; k < positions; k++) {
    let squares = 0;
    for (let i = 0; i < dModel; i++) squares += (table[k * dModel + i]! - table[i]!) ** 2;
    least = Math.min(least, Math.sqrt(squares));
  }
  return least;
}
