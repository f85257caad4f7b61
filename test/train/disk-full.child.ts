// One session of a run, for a test that gives it little room to write: folder and steps are the arguments.
import { RunDirectory, train } from "../../src/train/index.node.ts";
import { numberBatches, numberReader, Quadratic } from "./quadratic.ts";

const [path = "", steps = ""] = process.argv.slice(2);
const learner = new Quadratic({ width: 20_000 });
try {
  using run = await RunDirectory.open({ path, memory: learner.memory, seed: 1 });
  await train({
    learner,
    batches: numberBatches(),
    reader: numberReader,
    state: run.state,
    recorder: run,
    steps: Number(steps),
    schedule: () => 0.05,
    saveEvery: 2,
  });
} catch (error) {
  process.stdout.write(String(error));
  process.exitCode = 3;
}
