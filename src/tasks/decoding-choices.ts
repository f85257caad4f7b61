// What one call of a translation has chosen, over what is configured; what its model cannot honour is refused.
import { ConfigError } from "../base/index.ts";
import { NonAutoregressiveTransformer } from "../models/index.ts";
import { heededInOnePass, misfitsOfDecoding, type DecodingChoices, type DecodingOptions } from "./decoding-options.ts";
import { onePassDecodingKeys } from "./non-autoregressive-config.ts";
import type { TranslationModel } from "./non-autoregressive.ts";

/** Refuses an option of decoding that was given and that this model cannot honour. */
export function refuseUnheeded(model: TranslationModel, given: Readonly<Record<string, unknown>>): void {
  const isOnePass = model instanceof NonAutoregressiveTransformer;
  const isHeeded = (key: string): boolean =>
    key === "signal" || (isOnePass ? heededInOnePass.includes(key) : !(key in onePassDecodingKeys));
  const found = Object.keys(given).find((key) => given[key] !== undefined && !isHeeded(key));
  if (found === undefined) return;
  const way = isOnePass ? "writes all places at once" : "writes token after token";
  throw new ConfigError(`decoding.${found}`, `has no effect with this model, which ${way}. Leave it out.`);
}

/** The choices of one call over those that are configured, refused where they cannot be honoured together. */
export function choicesOfCall(
  model: TranslationModel,
  configured: DecodingChoices,
  options: DecodingOptions,
): DecodingChoices & Pick<DecodingOptions, "signal" | "processors"> {
  refuseUnheeded(model, { ...options });
  const choices = { ...configured, ...options };
  if (model instanceof NonAutoregressiveTransformer) {
    const { nbest, lengthCandidates } = choices;
    if (nbest > lengthCandidates)
      throw new ConfigError("nbest", `must not exceed lengthCandidates (got ${nbest} and ${lengthCandidates})`);
    return choices;
  }
  const [misfit] = misfitsOfDecoding(choices);
  if (misfit !== undefined) throw new ConfigError(misfit.key, `${misfit.problem}.`);
  return choices;
}
