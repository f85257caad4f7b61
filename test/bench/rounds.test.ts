import { describe, expect, test } from "vitest";
import { busyTicks, processTicks } from "../../bench/foreign-load.ts";
import { interleave, median, summarize, type Side } from "../../bench/rounds.ts";

describe("median", () => {
  test.each([
    [[3], 3],
    [[5, 1, 3], 3],
    [[4, 1, 3, 2], 2.5],
  ])("of %j is %d", (values, expected) => expect(median(values)).toBe(expected));

  test("of nothing is an error", () => expect(() => median([])).toThrow(RangeError));
});

describe("a summary", () => {
  const turn = (milliseconds: number, foreignCores: number | undefined) => ({ milliseconds, foreignCores });

  test("leaves turns under foreign load out", () => {
    expect(summarize([turn(10, 0), turn(12, 0.1), turn(99, 0.8)])).toEqual({
      milliseconds: 11,
      fastest: 10,
      slowest: 12,
      clean: 2,
      turns: 3,
    });
  });

  test("takes them all where none is clean, and says so", () => {
    expect(summarize([turn(90, 1), turn(99, 0.8)])).toMatchObject({ milliseconds: 94.5, clean: 0, turns: 2 });
  });

  test("takes a turn as clean where the system does not say", () => {
    expect(summarize([turn(9, undefined)])).toMatchObject({ milliseconds: 9, clean: 1 });
  });
});

describe("interleaving", () => {
  const recorder = (name: string, log: string[], ms: number): Side => ({
    name,
    work: async (count) => {
      log.push(`${name}${count}`);
      // The first call after a change of sides is slow, and must not count.
      return Array.from({ length: count }, (_, i) => (i === 0 && count > 1 ? 1000 : ms));
    },
    dispose: async () => {},
  });

  test("works in turn, turns the order around each round, and does not count the first call of a turn", async () => {
    const log: string[] = [];
    const [a, b] = [recorder("a", log, 5), recorder("b", log, 10)];
    const turns = await interleave([a, b], { rounds: 2, turnMs: 20, patienceMs: 0 });
    // Two calls each to warm up, then 20 ms of work a turn and one call that does not count.
    expect(log).toEqual(["a1", "a1", "b1", "b1", "a5", "b3", "b3", "a5"]);
    expect(turns.get(a)!.map(({ milliseconds }) => milliseconds)).toEqual([5, 5]);
    expect(turns.get(b)!.map(({ milliseconds }) => milliseconds)).toEqual([10, 10]);
  });
});

describe("the kernel's counters", () => {
  test("busy time leaves out idle, waiting and stolen time", () => {
    // user nice system idle iowait irq softirq steal (proc(5))
    expect(busyTicks("cpu  100 20 30 4000 500 6 7 80 0 0\ncpu0 1 2 3 4\n")).toBe(100 + 20 + 30 + 6 + 7);
  });

  test("a process's name may hold brackets and spaces", () => {
    // Fields 14 and 15 are user and system time (proc(5)).
    expect(processTicks("42 (a) b) S 1 42 42 0 -1 4194304 9 0 0 0 70 8 1 2 20 0")).toBe(78);
  });
});
