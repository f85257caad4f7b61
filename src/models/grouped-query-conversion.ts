// A multi-head checkpoint made into one with fewer heads of keys and values, to be trained a little further.
import { ConfigError, FormatError, type HostTensor } from "../base/index.ts";

export interface PoolKeyValueHeadsOptions {
  /** Heads of keys and values that the checkpoint has. */
  heads: number;
  /** Heads that are left; must divide `heads`. 1 is multi-query attention. */
  keyValueHeads: number;
  /** Whether the attention at this path, such as `decoder.layers.0.selfAttention`, is converted; self-attentions if not said. */
  includes?: (path: string) => boolean;
}

const projection = /^(.*)\.(key|value)\.(weight|bias)$/;

/**
 * Replaces each group of heads / keyValueHeads neighbouring heads of keys, and of values, by their mean; queries and all else
 * are passed on. With keyValueHeads = heads the numbers stay bit for bit.
 * Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", section 2.1,
 * who found the mean better than one head of the group or new ones, and train 5 % of the original steps further.
 * Throws ConfigError for heads that do not divide, and FormatError for weights that do not have them.
 *
 * @example
 * const grouped = poolKeyValueHeads(values, { heads: 8, keyValueHeads: 2 });
 */
export function poolKeyValueHeads(
  values: ReadonlyMap<string, HostTensor>,
  { heads, keyValueHeads, includes = (path) => path.endsWith("selfAttention") }: PoolKeyValueHeadsOptions,
): Map<string, HostTensor> {
  if (!Number.isInteger(keyValueHeads) || keyValueHeads < 1 || heads % keyValueHeads !== 0) {
    throw new ConfigError(
      "keyValueHeads",
      `must divide heads, as groups are of one size (got heads ${heads} and keyValueHeads ${keyValueHeads})`,
    );
  }
  let found = false;
  const pooled = new Map<string, HostTensor>();
  for (const [name, tensor] of values) {
    const path = projection.exec(name)?.[1];
    const isPooled = path !== undefined && includes(path);
    found ||= isPooled;
    pooled.set(name, isPooled ? meanOfGroups(name, tensor, heads, keyValueHeads) : tensor);
  }
  if (!found)
    throw new ConfigError("keyValueHeads", "no attention with keys and values to be pooled is among the weights");
  return pooled;
}

/** [.., heads · dHead] → [.., keyValueHeads · dHead] */
function meanOfGroups(name: string, { dtype, dims, data }: HostTensor, heads: number, groups: number): HostTensor {
  const width = dims.at(-1) ?? 0;
  if (dtype !== "float32" || width % heads !== 0) {
    throw new FormatError(
      name,
      `float32 with ${heads} heads side by side is wanted, got ${dtype} [${dims.join(", ")}]. Is it a multi-head checkpoint?`,
    );
  }
  const dHead = width / heads;
  const each = heads / groups;
  const rows = data.length / width;
  const mean = new Float32Array(rows * groups * dHead);
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      for (let i = 0; i < dHead; i++) {
        let sum = 0;
        for (let head = 0; head < each; head++) sum += data[row * width + (group * each + head) * dHead + i] as number;
        mean[(row * groups + group) * dHead + i] = sum / each;
      }
    }
  }
  return { dtype, dims: [...dims.slice(0, -1), groups * dHead], data: mean };
}
