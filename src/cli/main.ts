#!/usr/bin/env node
// The executable: hands the words after `heddle` to the program and leaves with its exit code.
import { ignoreClosedPipe } from "./errors.ts";
import { run } from "./program.ts";

ignoreClosedPipe(process.stdout);
const code = await run(process.argv.slice(2));
// Never process.exit: work of ONNX Runtime may still be under way, and ending then aborts the process. A command that ended
// well may have set a code of its own, as a stopped training does.
if (code !== 0) process.exitCode = code;
