// engine: compiles a program and runs it; the only door to ONNX Runtime.
export { compile, Executable, type CompileOptions, type Feeds } from "./compile.ts";
export { EngineError } from "./errors.ts";
export { FlatMemory, paddedCount, type RegionOptions } from "./memory/flat-memory.ts";
export { RandomBytes, type RandomArray } from "./memory/random-bytes.ts";
export {
  formatProfile,
  summariseProfile,
  type Profile,
  type ProfileEvent,
  type ProfileRow,
  type ProfileTable,
  type ProfileTrace,
} from "./profile.ts";
export { quantized, roundColumns } from "./quantize.ts";
export { type Session, type SessionOptions } from "./session.ts";
export { defaultThreads, runtimeVersion } from "#session";
