// How long a block is that is filled whatever its output's length. This file loads nothing, so that configurations may ask it.

/** Places of a block beyond those that upsampling gives: the shortest sources have outputs of many times their length. */
export const sparePlaces = 8;
