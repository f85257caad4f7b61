// Runs a program under the runtime's profiler, which writes a file.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Program } from "../tensor/index.ts";
import { compile, type CompileOptions, type Feeds } from "./compile.ts";
import { summariseProfile, type Profile, type ProfileEvent } from "./profile.ts";

export interface ProfileOptions extends Omit<CompileOptions, "profilePrefix"> {
  /** Runs that are measured, after one that is not. */
  runs?: number;
}

/**
 * Where the time of a program goes, operation by operation, as the runtime measured it after its own rewriting: what it fused
 * stands under the fused operator's name.
 * @example
 * const { table, trace } = await profile(program, feeds, { runs: 10 });
 * await writeFile("step.trace.json", JSON.stringify(trace)); // open in ui.perfetto.dev
 */
export async function profile(
  program: Program,
  feeds: Feeds,
  { runs = 5, ...options }: ProfileOptions = {},
): Promise<Profile> {
  if (!Number.isInteger(runs) || runs < 1)
    throw new RangeError(`profile: runs must be a whole number of at least 1, got ${runs}`);
  const folder = await mkdtemp(join(tmpdir(), "heddle-profile-"));
  try {
    const executable = await compile(program, { ...options, profilePrefix: join(folder, "run") });
    try {
      for (let run = 0; run <= runs; run++) await executable.run(feeds);
      executable.endProfiling();
    } finally {
      await executable.dispose();
    }
    const [file] = await readdir(folder);
    if (file === undefined) throw new Error("the runtime wrote no profile");
    return summariseProfile(program.name, JSON.parse(await readFile(join(folder, file), "utf8")) as ProfileEvent[]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
