// What mixers without attention scores ask of their options and of the scope, said the same way by all of them.
import { ConfigError, ShapeError } from "../../base/index.ts";
import { equalDims, reshape, where, type Dim, type Tensor } from "../../tensor/index.ts";
import type { AttentionScope } from "../attention/scope.ts";

/** dHead = width / heads, or an error that names the mixer. */
export function headWidth(mixer: string, width: number, heads: number): number {
  if (Number.isInteger(heads) && heads >= 1 && width % heads === 0) return width / heads;
  throw new ShapeError(`${mixer}: heads must divide dModel (got heads ${heads}, dModel ${width}).`);
}

/** An option that counts something. */
export function wantCount(mixer: string, option: string, value: number): void {
  if (!Number.isInteger(value) || value < 1)
    throw new ConfigError(`${mixer}.${option}`, `a whole number of at least 1 is wanted, got ${value}`);
}

/** Refuses a scope that hides nothing of the future: the state of a recurrence holds the past alone. */
export function wantCausal(mixer: string, scope: AttentionScope): void {
  if (!scope.isCausal)
    throw new ConfigError(
      mixer,
      "it reads from left to right only, so it cannot stand in an encoder; take it for the decoder and full or linear attention for the encoder",
    );
}

/** Refuses queries that are only the last of the keys: a mixer starts with an empty state and sees what it is given. */
export function wantWholeSequence(mixer: string, { queryTime, keyTime }: AttentionScope): void {
  if (!equalDims(queryTime, keyTime))
    throw new ConfigError(
      mixer,
      `it reads whole sequences (got ${queryTime} queries for ${keyTime} keys); to go on from earlier tokens, step from the state they left`,
    );
}

/** Refuses positions that speak to attention scores: there are none. Those added to the embeddings go with every mixer. */
export function wantNoPositions(mixer: string, { positions }: AttentionScope, because: string): void {
  if (positions?.bias !== undefined || positions?.turn !== undefined)
    throw new ConfigError(
      mixer,
      `positions of attention (rotary, ALiBi, relative bias) do not apply, as ${because}; take none, sinusoidal or learned`,
    );
}

/** x [batch, time, ..] with zeros wherever `keys`, bool [batch, time], says that there is padding. */
export function withoutPadding(x: Tensor, keys: Tensor | undefined): Tensor {
  if (keys === undefined) return x;
  const [batch, time] = keys.shape as readonly [Dim, Dim];
  return where(reshape(keys, [batch, time, ...x.shape.slice(2).map(() => 1)]), x, 0);
}
