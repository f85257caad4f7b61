// formats in Node: everything of index.ts, and files on the disk.
export {
  decodeOnnx,
  type DecodeOnnxOptions,
  decodeSafetensors,
  encodeOnnx,
  onnxTypeOf,
  type EncodeOnnxOptions,
  encodeSafetensors,
  float32FromBfloat16,
  float32FromFloat16,
  type OnnxAttribute,
  type OnnxExternalData,
  type OnnxGraph,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxValue,
  readSafetensorsHeader,
  type Safetensors,
  type SafetensorsEntry,
  type SafetensorsHeader,
  tensorboardOpening,
  tensorboardResumption,
  tensorboardScalars,
  toFloat32,
} from "./index.ts";
export { openSafetensors, SafetensorsFile, writeSafetensors } from "./safetensors.node.ts";
export { TensorboardWriter, type TensorboardWriterOptions } from "./tensorboard.node.ts";
export { syncFolder, writeAside } from "./write-aside.node.ts";
