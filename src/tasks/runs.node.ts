// Runs of any task: what is trained and what is opened follows from the configuration's `task`.
import type { TrainingResult } from "../train/index.node.ts";
import {
  openMaskFilling,
  openTextGeneration,
  trainLanguageModel,
  trainMaskedLanguageModel,
  type OpenRunOptions,
  type TextRunOptions,
} from "./language-model-run.node.ts";
import { readRunConfig } from "./run-folder.node.ts";
import type { TaskConfig } from "./task-config.ts";
import { openTranslation, trainTranslation } from "./translation-run.node.ts";

/** A model of a run in use. */
export type OpenedRun =
  | { readonly task: "translation"; readonly run: Awaited<ReturnType<typeof openTranslation>> }
  | { readonly task: "language-model"; readonly run: Awaited<ReturnType<typeof openTextGeneration>> }
  | { readonly task: "masked-language-model"; readonly run: Awaited<ReturnType<typeof openMaskFilling>> };

/**
 * Trains what a configuration describes, in a folder that holds everything the run needs to go on: called again with the same
 * folder it resumes.
 */
export async function trainRun(config: TaskConfig, options: TextRunOptions): Promise<TrainingResult> {
  if (config.task === "translation") {
    const { translation, result } = await trainTranslation(config, options);
    await translation.dispose();
    return result;
  }
  if (config.task === "language-model") {
    const { generation, result } = await trainLanguageModel(config, options);
    await generation.dispose();
    return result;
  }
  const { filling, result } = await trainMaskedLanguageModel(config, options);
  await filling.dispose();
  return result;
}

/** The model of a run's folder, ready for use, whatever its task. */
export async function openRun(directory: string, options: OpenRunOptions = {}): Promise<OpenedRun> {
  const { task } = await readRunConfig(directory);
  if (task === "translation") return { task, run: await openTranslation(directory, options) };
  if (task === "language-model") return { task, run: await openTextGeneration(directory, options) };
  return { task, run: await openMaskFilling(directory, options) };
}
