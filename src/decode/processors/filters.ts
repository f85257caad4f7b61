// Processors that shape or thin out a distribution before sampling from it. All leave at least `keep` tokens.
import { ConfigError } from "../../base/index.ts";
import { logSumExp } from "../log-sum-exp.ts";
import { checkCount } from "../search.ts";
import type { ScoreProcessor } from "./score-processor.ts";

/** Divides the scores: below 1 the likely gets likelier, above 1 everything more alike. */
export function temperature(value: number): ScoreProcessor {
  if (!(value > 0))
    throw new ConfigError("temperature", `expected a number above 0, got ${value}. For none, use greedy search.`);
  return {
    process(_, scores) {
      for (let token = 0; token < scores.length; token++) scores[token]! /= value;
    },
  };
}

/** Keeps the `k` likeliest tokens, and those as likely as the last of them. Fan et al. 2018, section 5.4. */
export function topK(k: number): ScoreProcessor {
  checkCount("topK", k, 1);
  return { process: (_, scores) => dropBelow(scores, nthLargest(scores, k)) };
}

/**
 * Keeps the smallest set of likeliest tokens whose probabilities reach `mass`: the nucleus. Holtzman et al. 2020, "The
 * Curious Case of Neural Text Degeneration", section 3.1.
 *
 * @example
 * nucleus(0.9);
 */
export function nucleus(mass: number, keep = 1): ScoreProcessor {
  checkMass("nucleus", mass);
  return {
    process(_, scores) {
      const total = logSumExp(scores);
      const order = sortedBy(scores, (token) => -scores[token]!);
      let above = 0;
      for (const [rank, token] of order.entries()) {
        const probability = Math.exp(scores[token]! - total);
        if (above >= mass && rank >= keep) scores[token] = -Infinity;
        above += probability;
      }
    },
  };
}

/**
 * Keeps the tokens at least `share` times as likely as the likeliest: many where the model is unsure, few where it is sure.
 * Nguyen et al. 2025, "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs".
 *
 * @example
 * minP(0.1);
 */
export function minP(share: number, keep = 1): ScoreProcessor {
  checkMass("minP", share);
  const step = Math.log(share);
  return { process: (_, scores) => dropUnlikely(scores, nthLargest(scores, 1) + step, keep) };
}

/**
 * Keeps the tokens whose surprise −log p is nearest to the entropy, until they reach `mass`. Meister et al. 2023, "Locally
 * Typical Sampling", section 3.2.
 */
export function typical(mass: number, keep = 1): ScoreProcessor {
  checkMass("typical", mass);
  return {
    process(_, scores) {
      const total = logSumExp(scores);
      const entropy = entropyOf(scores, total);
      const distance = scores.map((score) => Math.abs(total - score - entropy));
      const order = sortedBy(scores, (token) => distance[token]!);
      // The token that reaches the mass is the last one kept, with those equally near.
      let last = 0;
      for (let sum = Math.exp(scores[order[0]!]! - total); sum < mass && last < order.length - 1;) {
        sum += Math.exp(scores[order[++last]!]! - total);
      }
      const furthest = distance[order[last]!]!;
      for (const [rank, token] of order.entries()) {
        if (rank >= keep && distance[token]! > furthest) scores[token] = -Infinity;
      }
    },
  };
}

/** Drops tokens of a probability below `epsilon`. Hewitt et al. 2022, "Truncation Sampling", section 4.1. */
export function epsilonCutoff(epsilon: number, keep = 1): ScoreProcessor {
  checkMass("epsilonCutoff", epsilon);
  return { process: (_, scores) => dropUnlikely(scores, Math.log(epsilon) + logSumExp(scores), keep) };
}

/** Drops tokens of a probability below min(ε, √ε · exp(−entropy)). Hewitt et al. 2022, section 4.2. */
export function etaCutoff(epsilon: number, keep = 1): ScoreProcessor {
  checkMass("etaCutoff", epsilon);
  return {
    process(_, scores) {
      const total = logSumExp(scores);
      const cutoff = Math.min(Math.log(epsilon), Math.log(epsilon) / 2 - entropyOf(scores, total));
      dropUnlikely(scores, cutoff + total, keep);
    },
  };
}

/** Makes the scores log-probabilities again after other processors changed them. */
export function renormalised(): ScoreProcessor {
  return {
    process(_, scores) {
      const total = logSumExp(scores);
      if (total > -Infinity) for (let token = 0; token < scores.length; token++) scores[token]! -= total;
    },
  };
}

function dropUnlikely(scores: Float32Array, cutoff: number, keep: number): void {
  dropBelow(scores, Math.min(cutoff, nthLargest(scores, keep)));
}

function dropBelow(scores: Float32Array, cutoff: number): void {
  for (let token = 0; token < scores.length; token++) if (scores[token]! < cutoff) scores[token] = -Infinity;
}

function nthLargest(scores: Float32Array, n: number): number {
  if (n === 1) return scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const ascending = scores.slice().sort();
  return ascending[Math.max(0, ascending.length - n)]!;
}

function entropyOf(scores: Float32Array, total: number): number {
  let entropy = 0;
  for (const score of scores) {
    if (score > -Infinity) entropy -= Math.exp(score - total) * (score - total);
  }
  return entropy;
}

/** Token ids, the smallest key first; the lower token among equals. */
function sortedBy(scores: Float32Array, key: (token: number) => number): number[] {
  return Array.from(scores, (_, token) => token).sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x < y ? -1 : x > y ? 1 : a - b;
  });
}

function checkMass(place: string, mass: number): void {
  if (!(mass > 0 && mass < 1)) throw new ConfigError(place, `expected a probability between 0 and 1, got ${mass}.`);
}
