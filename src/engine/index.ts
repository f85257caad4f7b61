// engine: compiles a program and runs it; the only door to ONNX Runtime.
export { compile, Executable, type CompileOptions, type Feeds } from "./compile.ts";
export { type Session, type SessionOptions } from "./session.ts";
export { defaultThreads, runtimeVersion } from "#session";
