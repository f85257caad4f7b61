// A value with a gradient of its own: where algebra knows a cheaper way back than the chain rule through each step.
import { operation, type Tensor } from "../graph.ts";

type Rule = (dy: Tensor, wants: (input: number) => boolean) => readonly (Tensor | undefined)[];

const applyCustomGradient = operation<{ readonly rule: Rule }>({
  name: "customGradient",
  type: ([value]) => value!,
  gradient: ({ dy, attributes: { rule }, wants }) => [undefined, ...rule(dy, (i) => wants(i + 1))],
  onnx: (_, [value]) => value!,
  samples: [],
});

/**
 * `value`, differentiated with respect to `inputs` by `rule` and not through the operations that made it.
 * The rule's result is made of operations, so it can be differentiated in turn.
 */
export function customGradient(value: Tensor, inputs: readonly Tensor[], rule: Rule): Tensor {
  return applyCustomGradient([value, ...inputs], { rule })[0]!;
}

/** The same value, through which nothing flows back. */
export function stopGradient(x: Tensor): Tensor {
  return customGradient(x, [], () => []);
}
