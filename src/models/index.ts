// models: the Transformer in its shapes, and the programs it is trained and decoded with.
export { sourceProgram, stepProgram, type StepOptions, type Wanted } from "./decoding-programs.ts";
export {
  Decoder,
  DecoderLayer,
  type CrossAttend,
  type DecoderLayerTrace,
  type DecoderTrace,
  type SelfAttend,
} from "./decoder.ts";
export { Encoder, EncoderLayer, type EncoderTrace, type LayerParts } from "./encoder.ts";
export { teacherForcing, type LossProgram, type TeacherForcingOptions } from "./teacher-forcing.ts";
export {
  StackInput,
  Transformer,
  type PerStack,
  type ResolvedTransformerOptions,
  type TransformerOptions,
  type TransformerTrace,
} from "./transformer.ts";
export { TransformerDecoder, TransformerStepper } from "./transformer-stepper.ts";
