#!/usr/bin/env node
// The executable: hands the words after `heddle` to the program and leaves with its exit code.
import { ignoreClosedPipe } from "./errors.ts";
import { run } from "./program.ts";

ignoreClosedPipe(process.stdout);
// Never process.exit: work of ONNX Runtime may still be under way, and ending then aborts the process.
process.exitCode = await run(process.argv.slice(2));
