// Several sides of a comparison, each working in its turn while the others rest; medians of what they took.
import { ForeignLoad } from "./foreign-load.ts";

/** One side of a comparison. It uses no processor between calls of `work`. */
export interface Side {
  readonly name: string;
  /** Does the work `count` times; milliseconds of each. */
  work(count: number): Promise<number[]>;
  dispose(): Promise<void>;
  /** Process that does the work, where it is not this one. */
  readonly processId?: number | undefined;
}

/** What one side took in one round. */
export interface Turn {
  readonly milliseconds: number;
  /** Processor cores that other processes used meanwhile; undefined where the system does not say. */
  readonly foreignCores: number | undefined;
}

export interface RoundsOptions {
  rounds?: number;
  /** A turn takes about this long. */
  turnMs?: number;
  /** A turn during which others used more is left out of the medians as long as there is a cleaner one. */
  maxForeignCores?: number;
  /** Longest wait for a quiet machine before each round. */
  patienceMs?: number;
  onTurn?: (side: Side, round: number, turn: Turn) => void;
}

/** Calls at the start of a turn that are not counted: they find the caches full of the other side's data. */
const UNCOUNTED_CALLS = 1;
const MAX_CALLS = 100;
/** Threads of the side that has just worked spin for a moment before they sleep. */
const SETTLE_MS = 50;

/**
 * Runs the sides in turn, round after round, in an order that turns around each time, so that a machine that grows slower
 * or faster favours nobody.
 */
export async function interleave(
  sides: readonly Side[],
  { rounds = 5, turnMs = 2000, maxForeignCores = 0.15, patienceMs = 10_000, onTurn = () => {} }: RoundsOptions = {},
): Promise<Map<Side, Turn[]>> {
  const load = new ForeignLoad(sides.flatMap(({ processId }) => (processId === undefined ? [] : [processId])));
  const turns = new Map<Side, Turn[]>(sides.map((side) => [side, []]));
  const calls = new Map<Side, number>();
  for (const side of sides) {
    await side.work(1); // The first call allocates.
    const [milliseconds] = await side.work(1);
    calls.set(side, Math.min(MAX_CALLS, Math.max(2, Math.round(turnMs / milliseconds!))));
  }
  for (let round = 0; round < rounds; round++) {
    await load.quiet(maxForeignCores, patienceMs);
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
      await pause(SETTLE_MS);
      const foreignCores = load.during();
      const times = await side.work(UNCOUNTED_CALLS + calls.get(side)!);
      const turn = { milliseconds: median(times.slice(UNCOUNTED_CALLS)), foreignCores: foreignCores() };
      turns.get(side)!.push(turn);
      onTurn(side, round, turn);
    }
  }
  return turns;
}

export interface Summary {
  /** Median over the turns that count. */
  readonly milliseconds: number;
  readonly fastest: number;
  readonly slowest: number;
  /** Turns that count, and all turns. */
  readonly clean: number;
  readonly turns: number;
}

/** Over the turns with little foreign load; over all where there are none such. */
export function summarize(turns: readonly Turn[], maxForeignCores = 0.15): Summary {
  const clean = turns.filter(({ foreignCores }) => foreignCores === undefined || foreignCores <= maxForeignCores);
  const times = (clean.length > 0 ? clean : turns).map(({ milliseconds }) => milliseconds);
  return {
    milliseconds: median(times),
    fastest: Math.min(...times),
    slowest: Math.max(...times),
    clean: clean.length,
    turns: turns.length,
  };
}

/** The middle value; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("median of no values");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
