import { describe, expect, test } from "vitest";
import { benchmarks, type Benchmark } from "../../bench/cases.ts";
import { bestSettings, findPyTorch, Opponent } from "../../bench/opponent.ts";

describe("PyTorch's settings", () => {
  const machine = { given: {}, blasFolders: ["/opt/openblas"], hasAvx512: true };

  test("name threads, library and kernels", () => {
    expect(bestSettings(2, machine)).toMatchObject({
      OMP_NUM_THREADS: "2",
      LD_LIBRARY_PATH: "/opt/openblas",
      OPENBLAS_CORETYPE: "SkylakeX",
    });
  });

  test("ask for no kernels that the processor lacks", () => {
    expect(bestSettings(2, { ...machine, hasAvx512: false })).not.toHaveProperty("OPENBLAS_CORETYPE");
  });

  test("leave what the user has set", () => {
    const given = { OPENBLAS_CORETYPE: "Zen", OMP_NUM_THREADS: "1", LD_LIBRARY_PATH: "/mine" };
    expect(bestSettings(2, { ...machine, given })).toMatchObject({ LD_LIBRARY_PATH: "/opt/openblas:/mine" });
    expect(bestSettings(2, { ...machine, given })).not.toHaveProperty("OPENBLAS_CORETYPE");
    expect(bestSettings(2, { ...machine, given })).not.toHaveProperty("OMP_NUM_THREADS");
  });
});

const python = findPyTorch();

describe.skipIf(python === undefined)("the PyTorch scripts [skipped: needs a Python with torch]", () => {
  const model = { layers: 1, dModel: 16, heads: 2, dFeedForward: 32, vocabulary: 50 };
  const [training, decoding] = [
    benchmarks.find(({ kind }) => kind === "training")!,
    benchmarks.find(({ kind }) => kind === "decoding")!,
  ];
  const small = { model, batch: 3, time: 6 };
  const withOpponent = async (benchmark: Benchmark, then: (opponent: Opponent) => Promise<void>): Promise<void> => {
    const opponent = await Opponent.start(python!, benchmark, 1);
    try {
      await then(opponent);
    } finally {
      await opponent.dispose();
    }
  };

  test("a step is timed each, and twenty of them lower the loss", () =>
    withOpponent({ ...training, ...small }, async (opponent) => {
      const times = await opponent.work(3);
      expect(times).toHaveLength(3);
      expect(Math.min(...times)).toBeGreaterThan(0);
      const { firstLoss, lastLoss } = await opponent.check();
      expect(lastLoss).toBeLessThan(firstLoss as number);
    }));

  test.each([1, 4])("decoding with a cache gives %d hypotheses the scores of the model without one", (beams) =>
    withOpponent({ ...decoding, ...small, outputTime: 7, beams } as Benchmark, async (opponent) => {
      expect(await opponent.work(2)).toHaveLength(2);
      const { worst } = await opponent.check();
      expect(worst).toBeLessThan(1e-4);
    }),
  );

  test("a script that cannot start says why", async () => {
    const impossible = { ...training, ...small, model: { ...model, heads: 3 } };
    await expect(Opponent.start(python!, impossible, 1)).rejects.toThrow(/divisible by num_heads/);
  });
});
