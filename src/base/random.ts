// Counter-based randomness: word number i of a stream is a pure function of (key, i), so any part of a stream can be
// drawn again, in any order, on any machine. There is no hidden state to save.

/**
 * Bijective 32-bit mixer; two multiply-xorshift rounds with constants found by search for low bias
 * (C. Wellons' "hash prospector", bias 0.1). Chained below so that two keys enter.
 */
export function mix32(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x21f0aaad);
  x ^= x >>> 15;
  x = Math.imul(x, 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

export interface RandomKey {
  readonly low: number;
  readonly high: number;
}

/** A key for the stream named by these numbers, for example (seed, step, site). Order matters. */
export function randomKey(...parts: readonly number[]): RandomKey {
  let low = 0x9e3779b9;
  let high = 0x85ebca6b;
  for (const part of parts) {
    // Both halves of a safe integer enter, so that steps beyond 2³² stay distinct.
    for (const half of [part >>> 0, Math.floor(part / 2 ** 32) >>> 0]) {
      low = mix32(low ^ half);
      high = mix32((high + low + 0x6a09e667) >>> 0);
    }
  }
  return { low, high };
}

/** Word i of the stream: 32 uniform bits. */
export function randomWord({ low, high }: RandomKey, i: number): number {
  return mix32(mix32((i + low) >>> 0) ^ high);
}

/** A reader of one stream, in order. `position` is its whole state. */
export class RandomStream {
  readonly key: RandomKey;
  position: number;

  constructor(key: RandomKey, position = 0) {
    this.key = key;
    this.position = position;
  }

  /** Uniform 32 bits. */
  word(): number {
    return randomWord(this.key, this.position++);
  }

  /** Uniform in [0, 1), 24 bits. */
  uniform(): number {
    return (this.word() >>> 8) * 2 ** -24;
  }

  /** Uniform integer in [0, below). */
  integer(below: number): number {
    return Math.floor(((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) * 2 ** -53 * below);
  }

  /** Standard normal, by Box and Muller. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Fisher-Yates, in place. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}
