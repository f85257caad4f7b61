import { testCombinations } from "./matrix.ts";

testCombinations("deep");
