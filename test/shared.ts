// Data sets and reference outputs too large for the repository are found through HEDDLE_SHARED; a clone without them skips
// what needs them, and says so in the test's name.
import { join } from "node:path";

export const shared: string | undefined = process.env.HEDDLE_SHARED;

/** Path of a shared file; only inside tests guarded by `shared`. */
export function sharedFile(...path: string[]): string {
  if (shared === undefined) throw new Error("HEDDLE_SHARED is not set");
  return join(shared, ...path);
}
