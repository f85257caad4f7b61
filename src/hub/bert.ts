import { activations, type Module } from "../nn/index.ts";
import { MaskedLanguageModel, TextClassifier, TextEncoder, TokenClassifier } from "../models/index.ts";
import {
  activationNames,
  architectureOf,
  choiceOf,
  insistOn,
  numberOf,
  type HubConfig,
  type HubFamily,
  type HubSpare,
} from "./family.ts";
import { renaming, type HubModule } from "./renaming.ts";

/** Which of our models each of BERT's classes is, and where its head is stored. */
interface Head {
  readonly build: (encoder: TextEncoder, config: HubConfig) => Module;
  readonly modules: Readonly<Record<string, HubModule>>;
}

const heads: Readonly<Record<string, Head>> = {
  BertModel: { build: (encoder) => encoder, modules: {} },
  BertForMaskedLM: maskedHead(),
  // Its second head, which sentence follows, is left unread.
  BertForPreTraining: maskedHead(),
  BertForSequenceClassification: {
    build: (encoder, config) =>
      new TextClassifier({ encoder, classes: classesOf(config), dropout: headDropout(config) }),
    modules: { pooler: "bert.pooler.dense", output: "classifier" },
  },
  BertForTokenClassification: {
    build: (encoder, config) =>
      new TokenClassifier({ encoder, classes: classesOf(config), dropout: headDropout(config) }),
    modules: { output: "classifier" },
  },
  // Where an answer begins, and where it ends: two numbers a token.
  BertForQuestionAnswering: {
    build: (encoder) => new TokenClassifier({ encoder, classes: 2, dropout: 0 }),
    modules: { output: "qa_outputs" },
  },
};

const layer = "bert.encoder.layer.*";
const encoderModules: Readonly<Record<string, string>> = {
  "input.embedding": "bert.embeddings.word_embeddings",
  "input.positions": "bert.embeddings.position_embeddings",
  "input.segments": "bert.embeddings.token_type_embeddings",
  "input.norm": "bert.embeddings.LayerNorm",
  "encoder.layers.*.selfAttention.query": `${layer}.attention.self.query`,
  "encoder.layers.*.selfAttention.key": `${layer}.attention.self.key`,
  "encoder.layers.*.selfAttention.value": `${layer}.attention.self.value`,
  "encoder.layers.*.selfAttention.output": `${layer}.attention.output.dense`,
  "encoder.layers.*.selfAttentionResidual.norm": `${layer}.attention.output.LayerNorm`,
  "encoder.layers.*.feedForward.expand": `${layer}.intermediate.dense`,
  "encoder.layers.*.feedForward.contract": `${layer}.output.dense`,
  "encoder.layers.*.feedForwardResidual.norm": `${layer}.output.LayerNorm`,
};

const duplicates: Readonly<Record<string, HubSpare>> = {
  "cls.predictions.decoder.weight": { of: "bert.embeddings.word_embeddings.weight" },
  "cls.predictions.decoder.bias": { of: "cls.predictions.bias" },
};

/** What checkpoints hold for heads that the model does not have. */
const unused = /^(bert\.pooler\.|bert\.embeddings\.position_ids$|cls\.seq_relationship\.)/;

/**
 * BERT, by the class that config.json names: the encoder alone, with the head for masked tokens, for texts, for tokens, or for
 * answers within a text, which is a `TokenClassifier` of two classes, start and end.
 */
export const bert: HubFamily = {
  modelType: "bert",
  build: (config) => {
    insistOn(config, {
      position_embedding_type: "absolute",
      is_decoder: false,
      add_cross_attention: false,
      tie_word_embeddings: true,
    });
    const encoder = new TextEncoder({
      vocabularySize: numberOf(config, "vocab_size"),
      dModel: numberOf(config, "hidden_size"),
      heads: numberOf(config, "num_attention_heads"),
      layers: numberOf(config, "num_hidden_layers"),
      dFeedForward: numberOf(config, "intermediate_size"),
      dropout: numberOf(config, "hidden_dropout_prob"),
      attentionDropout: numberOf(config, "attention_probs_dropout_prob"),
      feedForward: choiceOf(config, "hidden_act", activationNames),
      normEpsilon: numberOf(config, "layer_norm_eps", 1e-12),
      maxPositions: numberOf(config, "max_position_embeddings"),
      segments: numberOf(config, "type_vocab_size"),
      pad: numberOf(config, "pad_token_id", 0),
      learnsPadding: false,
    });
    return architectureOf(config, heads).build(encoder, config);
  },
  weights: (config) => {
    const { modules } = architectureOf(config, heads);
    const find = renaming({ ...encoderModules, ...modules });
    return (ours) => {
      if (ours === "outputBias") return { name: "cls.predictions.bias" };
      // Below a head, the encoder's paths begin with its own name.
      return find(ours.replace(/^encoder\.(?=input\.|encoder\.)/, ""));
    };
  },
  spares: (config) => (name) => {
    const isBare = architectureOf(config, heads) === heads.BertModel;
    if (unused.test(name) || (isBare && name.startsWith("cls."))) return { unused: true };
    return duplicates[name];
  },
  // Scale and shift of norms had TensorFlow's names once, and files of the bare encoder have no prefix.
  todaysName: (name) => {
    const named = name.replace(/LayerNorm\.gamma$/, "LayerNorm.weight").replace(/LayerNorm\.beta$/, "LayerNorm.bias");
    return /^(embeddings|encoder|pooler)\./.test(named) ? `bert.${named}` : named;
  },
};

function maskedHead(): Head {
  return {
    build: (encoder, config) =>
      new MaskedLanguageModel(encoder, { activation: activations[choiceOf(config, "hidden_act", activationNames)] }),
    modules: { transform: "cls.predictions.transform.dense", norm: "cls.predictions.transform.LayerNorm" },
  };
}

/** Without names there are two classes. */
function classesOf({ id2label }: HubConfig): number {
  return typeof id2label === "object" && id2label !== null ? Object.keys(id2label).length : 2;
}

function headDropout(config: HubConfig): number {
  return numberOf(config, "classifier_dropout", numberOf(config, "hidden_dropout_prob"));
}
