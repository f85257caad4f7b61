// The labs, in the order in which the notes come to their claims.
import { adapters } from "./adapters.ts";
import { attentionCost } from "./attention-cost.ts";
import { beamVersusSampling } from "./beam-vs-sampling.ts";
import { crossAttentionWiring } from "./cross-attention-wiring.ts";
import { deepNorm } from "./deep-norm.ts";
import { endlessStream } from "./endless-stream.ts";
import { experts } from "./experts.ts";
import { futureMask } from "./causal-mask.ts";
import { feedForwardVariants } from "./feed-forward-variants.ts";
import type { Lab } from "./lab.ts";
import { layerNormVersusBatchNorm } from "./layer-norm-vs-batch-norm.ts";
import { longRangeRecall } from "./long-range-recall.ts";
import { mixers } from "./mixers.ts";
import { multiModality } from "./multi-modality.ts";
import { onePass } from "./one-pass.ts";
import { positionalEncoding } from "./positional-encoding.ts";
import { preVersusPostNorm } from "./pre-vs-post-norm.ts";
import { queryGroups } from "./query-groups.ts";
import { residuals } from "./residuals.ts";
import { scaling } from "./scaling.ts";
import { trainShortTestLong } from "./train-short-test-long.ts";
import { transformerVsLstm } from "./transformer-vs-lstm.ts";

export { svgFile } from "./plots/drawing.ts";
export type { Lab, LabContext, LabResult, LabTable, Verdict } from "./lab.ts";

export const labs: readonly Lab[] = [
  positionalEncoding,
  trainShortTestLong,
  scaling,
  futureMask,
  attentionCost,
  longRangeRecall,
  endlessStream,
  mixers,
  queryGroups,
  crossAttentionWiring,
  feedForwardVariants,
  experts,
  residuals,
  preVersusPostNorm,
  deepNorm,
  layerNormVersusBatchNorm,
  transformerVsLstm,
  adapters,
  multiModality,
  onePass,
  beamVersusSampling,
];
