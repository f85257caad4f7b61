// What a user sees when something goes wrong, and the exit code: 2 for a mistake that the user can mend, 1 for one of ours.
import { CommanderError } from "commander";
import { HeddleError } from "../base/index.ts";

/** What the operating system says about a path, in words. */
const pathProblems: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "is a folder, and a file was expected",
  ENOTDIR: "lies under a file, and a folder was expected",
  EEXIST: "exists already",
  EROFS: "lies on a file system that is read-only",
  ENOSPC: "no space is left on the device",
};

/** Tells the error and gives the exit code it stands for. */
export function report(error: unknown, tell: (text: string) => void): number {
  // commander has told its own errors, and throws also after --help and --version.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof HeddleError) {
    tell(`heddle: ${error.message}\n`);
    return 2;
  }
  if (isSystemError(error)) {
    // The reader of our output left, as `head` does: nobody is there to be told.
    if (error.code === "EPIPE") return 0;
    const problem = pathProblems[error.code];
    if (problem !== undefined) {
      tell(`heddle: ${error.path === undefined ? "" : `${error.path}: `}${problem}\n`);
      return 2;
    }
  }
  tell(`heddle: unexpected error, a mistake of Heddle's\n${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}

/** Lets a stream whose reader left fail in the one who writes, instead of as an uncaught error. */
export function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";
}
