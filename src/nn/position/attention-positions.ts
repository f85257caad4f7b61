import type { Tensor } from "../../tensor/index.ts";
import type { Module } from "../module.ts";

/**
 * Tells attention about places: by turning queries and keys, or by a bias on the scores. One scheme serves all layers of a
 * stack, in training and, a token at a time, in decoding: a key is turned once and kept.
 */
export interface AttentionPositions extends Module {
  /** Whether distances alone count, so that places may be counted from anywhere, as in batches that sentences join. */
  readonly isRelative?: boolean;
  /**
   * x [.., time, dHead] at `positions`, int32 [time] → the same shape. With one position, [1], the axis before the last may
   * have any length: all of it stands there.
   */
  turn?(x: Tensor, positions: Tensor, role: "query" | "key"): Tensor;
  /**
   * What is added to scaled scores. queryPositions int32 [.., queryTime] and keyPositions int32 [.., keyTime], whose leading
   * axes broadcast, → [heads, .., queryTime, keyTime], or 1 in place of heads.
   */
  bias?(queryPositions: Tensor, keyPositions: Tensor): Tensor;
}
