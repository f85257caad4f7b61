// Attention of reference checkpoints in plain double precision, so that what follows it in a block can be compared alone.
import { readFile } from "node:fs/promises";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { decodeSafetensors } from "../../src/formats/index.ts";
import { sharedFile } from "../shared.ts";

export type Rows = readonly (readonly number[])[];

export interface Checkpoint {
  readonly config: Readonly<Record<string, number>>;
  readonly weights: ReadonlyMap<string, HostTensor>;
  readonly expected: ReadonlyMap<string, HostTensor>;
  /** Tokens of each sentence; the rest of its row is padding. */
  readonly lengths: readonly number[];
}

export async function readCheckpoint(name: string): Promise<Checkpoint> {
  const file = (part: string) => readFile(sharedFile("fixtures", "hf", name, part));
  const tensors = async (part: string) => decodeSafetensors(new Uint8Array(await file(part))).tensors;
  const { inputs } = JSON.parse((await file("expected.json")).toString()) as {
    inputs: { attention_mask: number[][] };
  };
  return {
    config: JSON.parse((await file("config.json")).toString()) as Record<string, number>,
    weights: await tensors("model.safetensors"),
    expected: await tensors("expected.safetensors"),
    lengths: inputs.attention_mask.map((row) => row.reduce((a, b) => a + b)),
  };
}

/** The tokens of one sentence of a [batch, time, width] tensor. */
export function sentence({ dims, data }: HostTensor, row: number, length: number): number[][] {
  const [, time, width] = dims as [number, number, number];
  return Array.from({ length }, (_, i) =>
    Array.from({ length: width }, (__, j) => Number(data[(row * time + i) * width + j])),
  );
}

/** x Wᵀ for a weight [to, from], as PyTorch keeps them. */
function project(x: Rows, { dims, data }: HostTensor): number[][] {
  const [to, from] = dims as [number, number];
  return x.map((row) =>
    Array.from({ length: to }, (_, j) =>
      row.reduce((total, value, i) => total + value * Number(data[j * from + i]), 0),
    ),
  );
}

/** A weight [to, from] as [from, to]. */
export function turned({ dims, data }: HostTensor): HostTensor<"float32"> {
  const [to, from] = dims as [number, number];
  return hostTensor(
    "float32",
    [from, to],
    Float32Array.from({ length: from * to }, (_, i) => Number(data[(i % to) * from + Math.floor(i / to)])),
  );
}

export function rmsNorm(x: Rows, { data }: HostTensor, epsilon: number): number[][] {
  return x.map((row) => {
    const size = Math.sqrt(row.reduce((total, value) => total + value * value, 0) / row.length + epsilon);
    return row.map((value, i) => (value / size) * Number(data[i]));
  });
}

export const plus = (a: Rows, b: Rows): number[][] => a.map((row, i) => row.map((value, j) => value + b[i]![j]!));

/** score(head, query, key) decides the weights; undefined hides the key. query, key and value are [time][heads · dHead]. */
function attention(
  value: Rows,
  { heads, valueHead }: { heads: number; valueHead: (head: number) => number },
  score: (head: number, i: number, j: number) => number | undefined,
): number[][] {
  const dHead = value[0]!.length / (valueHead(heads - 1) + 1);
  return value.map((_, i) =>
    Array.from({ length: heads }, (__, head) => {
      const weights = value.map((___, j) => Math.exp(score(head, i, j) ?? -Infinity));
      const total = weights.reduce((a, b) => a + b);
      const from = valueHead(head) * dHead;
      return Array.from({ length: dHead }, (___, d) =>
        weights.reduce((sum, weight, j) => sum + (weight / total) * value[j]![from + d]!, 0),
      );
    }).flat(),
  );
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** Llama's: causal, rotary over halves, keys and values shared by groups of heads. x is normalised already. */
export function llamaAttention({ config, weights }: Checkpoint, prefix: string, x: Rows): number[][] {
  const [heads, groups] = [config.num_attention_heads!, config.num_key_value_heads!];
  const dHead = config.hidden_size! / heads;
  const part = (name: string): number[][] => project(x, weights.get(`${prefix}${name}_proj.weight`)!);
  const rotate = (rows: number[][], count: number): number[][][] =>
    rows.map((row, position) =>
      Array.from({ length: count }, (_, head) => {
        const half = dHead / 2;
        return Array.from({ length: dHead }, (__, d) => {
          const angle = position * config.rope_theta! ** ((-2 * (d % half)) / dHead);
          const at = (index: number): number => row[head * dHead + index]!;
          return at(d) * Math.cos(angle) + (d < half ? -at(d + half) : at(d - half)) * Math.sin(angle);
        });
      }),
    );
  const [query, key] = [rotate(part("q"), heads), rotate(part("k"), groups)];
  const group = (head: number): number => Math.floor((head * groups) / heads);
  const context = attention(part("v"), { heads, valueHead: group }, (head, i, j) =>
    j > i ? undefined : dot(query[i]![head]!, key[j]![group(head)]!) / Math.sqrt(dHead),
  );
  return project(context, weights.get(`${prefix}o_proj.weight`)!);
}

/** T5's encoder: no scaling, a learned bias by bucket of distance, the first block's in all of them. x is normalised already. */
export function t5Attention({ config, weights }: Checkpoint, prefix: string, x: Rows): number[][] {
  const [heads, dHead] = [config.num_heads!, config.d_kv!];
  const table = weights.get("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight")!;
  const half = config.relative_attention_num_buckets! / 2;
  const exact = Math.floor(half / 2);
  const bucket = (distance: number): number => {
    const n = Math.abs(distance);
    const far = Math.log(n / exact) / Math.log(config.relative_attention_max_distance! / exact);
    const near = n < exact ? n : Math.min(half - 1, exact + Math.trunc(far * (half - exact)));
    return (distance > 0 ? half : 0) + near;
  };
  const part = (name: string): number[][] => project(x, weights.get(`${prefix}${name}.weight`)!);
  const [query, key] = [part("q"), part("k")];
  const own = (row: readonly number[], head: number): number[] => row.slice(head * dHead, (head + 1) * dHead);
  const context = attention(part("v"), { heads, valueHead: (head) => head }, (head, i, j) => {
    return dot(own(query[i]!, head), own(key[j]!, head)) + Number(table.data[bucket(j - i) * heads + head]);
  });
  return project(context, weights.get(`${prefix}o.weight`)!);
}
