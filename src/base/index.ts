// base: what every other room may lean on: host arrays, errors, counter-based randomness, events, option descriptions.
export { ConfigError, DataError, FormatError, HeddleError, ShapeError } from "./errors.ts";
export { silent, type HeddleEvent, type Listener, type LogEvent, type ProgressEvent } from "./events.ts";
export {
  allocate,
  bytesPerElement,
  elementCount,
  hostTensor,
  viewOver,
  type DType,
  type HostArray,
  type HostTensor,
} from "./host-tensor.ts";
export { nearest } from "./nearest.ts";
export { mix32, randomKey, RandomStream, randomWord, type RandomKey } from "./random.ts";
export { version } from "./version.ts";
