// Words hidden from an encoder so that it learns to tell them. Devlin et al. 2019 (BERT), section 3.1, task 1.
import { ConfigError, RandomStream, type HostTensor, type RandomKey } from "../base/index.ts";

/** The label of a place that is not asked for, as losses over masked tokens read it. */
const notAsked = -100;

export interface MaskTokensOptions {
  /** Chance of each ordinary token to be asked for. */
  rate?: number;
  /** Id of the mask's token. */
  mask: number;
  vocabularySize: number;
  /** Ids that are never hidden and never stand in for another: padding, separators, the mask itself. */
  special: Iterable<number>;
  /** What the draw depends on besides the ids, for example `randomKey(seed, step)`. */
  random: RandomKey;
}

export interface MaskedTokens {
  /** What the model reads, of the shape that came in. */
  readonly ids: HostTensor<"int32">;
  /** The true id where one is asked for, −100 elsewhere. */
  readonly labels: HostTensor<"int32">;
  /** How many are asked for: a mean over them wants the weight 1 / asked. */
  readonly asked: number;
}

/**
 * Chooses tokens to ask for, each by itself with chance `rate`. Of those, 80 % become the mask, 10 % another ordinary token, each
 * alike, and 10 % stay, so that the model cannot trust what it sees. The same key and ids give the same draw.
 * In the paper a stand-in may be any token of the vocabulary; here it is no special one, as padding in mid-text would be a hole.
 *
 * @example
 * const ids = hostTensor("int32", [1, 6], [2, 14, 8, 25, 3, 0]);
 * const { labels } = maskTokens(ids, { mask: 4, vocabularySize: 100, special: [0, 1, 2, 3, 4], random: randomKey(7) });
 */
export function maskTokens(
  { dims, data }: HostTensor<"int32">,
  { rate = 0.15, mask, vocabularySize, special, random }: MaskTokensOptions,
): MaskedTokens {
  if (!(rate >= 0 && rate <= 1)) throw new ConfigError("rate", `a chance between 0 and 1 is wanted (got ${rate}).`);
  const isSpecial = new Set(special);
  if ([...isSpecial].filter((id) => id >= 0 && id < vocabularySize).length === vocabularySize)
    throw new ConfigError("special", `all ${vocabularySize} tokens are special; none is left to be hidden.`);
  const stream = new RandomStream(random);
  const standIn = (): number => {
    let id = stream.integer(vocabularySize);
    while (isSpecial.has(id)) id = stream.integer(vocabularySize);
    return id;
  };
  const ids = Int32Array.from(data);
  const labels = new Int32Array(data.length).fill(notAsked);
  let asked = 0;
  for (const [place, id] of data.entries()) {
    if (isSpecial.has(id) || stream.uniform() >= rate) continue;
    labels[place] = id;
    asked++;
    const fate = stream.uniform();
    if (fate < 0.8) ids[place] = mask;
    else if (fate < 0.9) ids[place] = standIn();
  }
  return { ids: { dtype: "int32", dims, data: ids }, labels: { dtype: "int32", dims, data: labels }, asked };
}
