// The checkpoints of a run side by side: which is the latest that can be read, which may go.
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, silent, type Listener } from "../base/index.ts";
import {
  asidePrefix,
  checkpointName,
  codeOf,
  readCheckpoint,
  removeAside,
  stepOfName,
  type Checkpoint,
} from "./checkpoint.node.ts";

/**
 * Steps of the checkpoints in a folder, in order; none where there is no folder.
 *
 * @example
 * const steps = await checkpointSteps("runs/en-de/checkpoints"); // [1000, 2000, 3000]
 */
export async function checkpointSteps(folder: string): Promise<number[]> {
  const steps = (await namesIn(folder)).map(stepOfName).filter((step) => step !== undefined);
  return steps.sort((a, b) => a - b);
}

/**
 * The latest checkpoint that is whole, or undefined where there are none. One that is damaged is passed over with a warning
 * that names it, and named `….damaged` where `setDamagedAside`, so that it is out of the way and still there to be looked at.
 * Throws FormatError where there are checkpoints and none is whole: to begin anew would be a surprise.
 *
 * @example
 * const checkpoint = await latestCheckpoint("runs/en-de/checkpoints", { listener });
 */
export async function latestCheckpoint(
  folder: string,
  { listener = silent, setDamagedAside = false }: { listener?: Listener; setDamagedAside?: boolean } = {},
): Promise<Checkpoint | undefined> {
  const damaged: { path: string; problem: string }[] = [];
  let found: Checkpoint | undefined;
  for (const step of (await checkpointSteps(folder)).reverse()) {
    const path = join(folder, checkpointName(step));
    try {
      found = await readCheckpoint(path);
      break;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      damaged.push({ path, problem: error.message });
    }
  }
  const [first] = damaged;
  if (first === undefined) return found;
  if (found === undefined) {
    throw new FormatError(
      folder,
      `none of its ${damaged.length} checkpoints can be read (${first.problem}). Remove the folder to begin anew.`,
    );
  }
  for (const { path, problem } of damaged) {
    listener({
      type: "log",
      level: "warning",
      message: `${path} is passed over and ${found.path} used instead: ${problem}`,
    });
    if (setDamagedAside) {
      await removeAside(`${path}.damaged`);
      await rename(path, `${path}.damaged`);
    }
  }
  return found;
}

/** Deletes what killed writes and deletions left. */
export async function removeLeftovers(folder: string): Promise<void> {
  const leftovers = (await namesIn(folder)).filter((name) => name.startsWith(asidePrefix));
  for (const name of leftovers) await removeAside(join(folder, name));
}

/** Deletes all but the newest `keep` checkpoints and those of the steps in `besides`. */
export async function pruneCheckpoints(
  folder: string,
  { keep, besides }: { keep: number; besides: readonly number[] },
): Promise<void> {
  const old = (await checkpointSteps(folder)).slice(0, -keep).filter((step) => !besides.includes(step));
  for (const step of old) await removeAside(join(folder, checkpointName(step)));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}
