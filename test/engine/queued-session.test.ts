import { expect, test } from "vitest";
import { Queue, queued } from "../../src/engine/queued-session.ts";
import type { Session } from "../../src/engine/session.ts";

test("runs of all sessions of a queue go one after another, also past a failure, and the end waits for them", async () => {
  const queue = new Queue();
  const seen: string[] = [];
  let running = 0;
  const session = (name: string, fails = false): Session =>
    queued(
      {
        async run() {
          running++;
          expect(running).toBe(1);
          await new Promise((done) => setTimeout(done, 1));
          running--;
          seen.push(name);
          if (fails) throw new Error(`${name} failed`);
          return new Map();
        },
        endProfiling: () => undefined,
        async dispose() {
          seen.push(`${name} gone`);
        },
      },
      queue,
    );
  const [a, b] = [session("a", true), session("b")];
  const results = await Promise.allSettled([
    a.run(new Map(), new Map()),
    b.run(new Map(), new Map()),
    a.dispose(),
    b.run(new Map(), new Map()),
  ]);
  expect(seen).toEqual(["a", "b", "a gone", "b"]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
});
