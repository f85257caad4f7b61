;; SPDX-License-Identifier: Apache-2.0
;;
;; The loops over all parameters at once: optimizer updates, norms, averages, and the random bytes of dropout.
;;
;;   npm run generate:kernels      assembles this text into kernels-wasm.ts, which is committed
;;
;; Conventions
;; - Addresses are bytes into the imported memory, counts are float32 values. Both are unsigned in spirit; loops count down
;;   what remains and never compare end addresses, since the end of a full 4 GiB memory wraps to 0.
;; - Four values go through at a time. The last group may be partial: its lanes beyond the count are computed and then
;;   thrown away by $lanes, so a kernel writes nothing outside of its range. It may read up to 12 bytes past the range,
;;   which the allocator's padding makes safe.
;; - WebAssembly's vector arithmetic is IEEE float32 with no fused multiply-add, so a twin in any language that rounds every
;;   operation to float32 agrees bit for bit.
(module
  (import "heddle" "memory" (memory 0))

  ;; All bits set in lane k where k < remaining.
  (func $lanes (param $remaining i32) (result v128)
    (i32x4.gt_s (i32x4.splat (local.get $remaining)) (v128.const i32x4 0 1 2 3)))

  ;; y ← value
  (func (export "fill") (param $y i32) (param $count i32) (param $value f32)
    (local $new v128)
    (local.set $new (f32x4.splat (local.get $value)))
    (block $done (loop $next
      (br_if $done (i32.lt_s (local.get $count) (i32.const 4)))
      (v128.store (local.get $y) (local.get $new))
      (local.set $y (i32.add (local.get $y) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (if (local.get $count) (then
      (v128.store (local.get $y)
        (v128.bitselect (local.get $new) (v128.load (local.get $y)) (call $lanes (local.get $count)))))))

  ;; y ← a·y
  (func (export "scale") (param $y i32) (param $count i32) (param $a f32)
    (local $factor v128) (local $old v128)
    (local.set $factor (f32x4.splat (local.get $a)))
    (block $done (loop $next
      (br_if $done (i32.lt_s (local.get $count) (i32.const 4)))
      (v128.store (local.get $y) (f32x4.mul (v128.load (local.get $y)) (local.get $factor)))
      (local.set $y (i32.add (local.get $y) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (if (local.get $count) (then
      (local.set $old (v128.load (local.get $y)))
      (v128.store (local.get $y)
        (v128.bitselect (f32x4.mul (local.get $old) (local.get $factor)) (local.get $old) (call $lanes (local.get $count)))))))

  ;; y ← y + a·x
  (func (export "addScaled") (param $y i32) (param $x i32) (param $count i32) (param $a f32)
    (local $factor v128) (local $old v128) (local $new v128)
    (local.set $factor (f32x4.splat (local.get $a)))
    (block $done (loop $next
      (br_if $done (i32.le_s (local.get $count) (i32.const 0)))
      (local.set $old (v128.load (local.get $y)))
      (local.set $new (f32x4.add (local.get $old) (f32x4.mul (v128.load (local.get $x)) (local.get $factor))))
      (if (i32.lt_s (local.get $count) (i32.const 4)) (then
        (local.set $new (v128.bitselect (local.get $new) (local.get $old) (call $lanes (local.get $count))))))
      (v128.store (local.get $y) (local.get $new))
      (local.set $y (i32.add (local.get $y) (i32.const 16)))
      (local.set $x (i32.add (local.get $x) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next))))

  ;; y ← y + w·(x − y): with w = 1/n the mean of n values so far, with w = 1 − decay an exponential moving average.
  (func (export "average") (param $y i32) (param $x i32) (param $count i32) (param $w f32)
    (local $weight v128) (local $old v128) (local $new v128)
    (local.set $weight (f32x4.splat (local.get $w)))
    (block $done (loop $next
      (br_if $done (i32.le_s (local.get $count) (i32.const 0)))
      (local.set $old (v128.load (local.get $y)))
      (local.set $new (f32x4.add (local.get $old)
        (f32x4.mul (local.get $weight) (f32x4.sub (v128.load (local.get $x)) (local.get $old)))))
      (if (i32.lt_s (local.get $count) (i32.const 4)) (then
        (local.set $new (v128.bitselect (local.get $new) (local.get $old) (call $lanes (local.get $count))))))
      (v128.store (local.get $y) (local.get $new))
      (local.set $y (i32.add (local.get $y) (i32.const 16)))
      (local.set $x (i32.add (local.get $x) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next))))

  ;; Σ x², every product and sum in float64. Products are exact there (24 + 24 bits), and no float32 overflows.
  ;; Value i goes to partial sum i mod 4; the end is (s0 + s2) + (s1 + s3). NaN and infinity come out as such.
  (func (export "sumOfSquares") (param $x i32) (param $count i32) (result f64)
    (local $four v128) (local $low v128) (local $high v128) (local $sum01 v128) (local $sum23 v128)
    (block $done (loop $next
      (br_if $done (i32.le_s (local.get $count) (i32.const 0)))
      (local.set $four (v128.load (local.get $x)))
      (if (i32.lt_s (local.get $count) (i32.const 4)) (then
        (local.set $four (v128.and (local.get $four) (call $lanes (local.get $count))))))
      (local.set $low (f64x2.promote_low_f32x4 (local.get $four)))
      (local.set $high (f64x2.promote_low_f32x4
        (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $four) (local.get $four))))
      (local.set $sum01 (f64x2.add (local.get $sum01) (f64x2.mul (local.get $low) (local.get $low))))
      (local.set $sum23 (f64x2.add (local.get $sum23) (f64x2.mul (local.get $high) (local.get $high))))
      (local.set $x (i32.add (local.get $x) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next)))
    (local.set $sum01 (f64x2.add (local.get $sum01) (local.get $sum23)))
    (f64.add (f64x2.extract_lane 0 (local.get $sum01)) (f64x2.extract_lane 1 (local.get $sum01))))

  ;; Adam. Kingma and Ba 2015, algorithm 1, as PyTorch's torch.optim.Adam and AdamW arrange it:
  ;;
  ;;   g′ ← gradientScale·g + l2·p            clipping or accumulation, then L2 (Adam's weight decay); both 1 and 0 if unused
  ;;   m  ← beta1·m + (1 − beta1)·g′
  ;;   v  ← beta2·v + ((1 − beta2)·g′)·g′
  ;;   p  ← keep·p − stepSize·(m / (√v + epsilon))
  ;;
  ;; keep = 1 − learningRate·weightDecay (AdamW's decoupled decay; 1 if unused). The bias corrections enter through the last
  ;; two numbers, worked out by the caller in float64: with root = √(1 − beta2ᵗ), stepSize is
  ;; learningRate / (1 − beta1ᵗ)·root and epsilon is the user's ε·root, which makes the last line
  ;; learningRate·m̂ / (√v̂ + ε). (The paper's section 2 has the same rearrangement.) It spares one of two divisions,
  ;; for which this loop waits: 1.03 instead of 1.29 ns a parameter (AVX-512 server core, Node 20).
  (func (export "adam")
    (param $p i32) (param $g i32) (param $m i32) (param $v i32) (param $count i32)
    (param $gradientScale f32) (param $l2 f32) (param $keep f32)
    (param $beta1 f32) (param $oneMinusBeta1 f32) (param $beta2 f32) (param $oneMinusBeta2 f32)
    (param $epsilon f32) (param $stepSize f32)
    (local $scales v128) (local $l2s v128) (local $keeps v128)
    (local $beta1s v128) (local $oneMinusBeta1s v128) (local $beta2s v128) (local $oneMinusBeta2s v128)
    (local $epsilons v128) (local $stepSizes v128)
    (local $oldP v128) (local $oldM v128) (local $oldV v128) (local $gradient v128)
    (local $newP v128) (local $newM v128) (local $newV v128) (local $mask v128)
    (local.set $scales (f32x4.splat (local.get $gradientScale)))
    (local.set $l2s (f32x4.splat (local.get $l2)))
    (local.set $keeps (f32x4.splat (local.get $keep)))
    (local.set $beta1s (f32x4.splat (local.get $beta1)))
    (local.set $oneMinusBeta1s (f32x4.splat (local.get $oneMinusBeta1)))
    (local.set $beta2s (f32x4.splat (local.get $beta2)))
    (local.set $oneMinusBeta2s (f32x4.splat (local.get $oneMinusBeta2)))
    (local.set $epsilons (f32x4.splat (local.get $epsilon)))
    (local.set $stepSizes (f32x4.splat (local.get $stepSize)))
    (block $done (loop $next
      (br_if $done (i32.le_s (local.get $count) (i32.const 0)))
      (local.set $oldP (v128.load (local.get $p)))
      (local.set $oldM (v128.load (local.get $m)))
      (local.set $oldV (v128.load (local.get $v)))
      (local.set $gradient (f32x4.add
        (f32x4.mul (v128.load (local.get $g)) (local.get $scales))
        (f32x4.mul (local.get $oldP) (local.get $l2s))))
      (local.set $newM (f32x4.add
        (f32x4.mul (local.get $oldM) (local.get $beta1s))
        (f32x4.mul (local.get $gradient) (local.get $oneMinusBeta1s))))
      (local.set $newV (f32x4.add
        (f32x4.mul (local.get $oldV) (local.get $beta2s))
        (f32x4.mul (f32x4.mul (local.get $gradient) (local.get $oneMinusBeta2s)) (local.get $gradient))))
      (local.set $newP (f32x4.sub
        (f32x4.mul (local.get $oldP) (local.get $keeps))
        (f32x4.mul (local.get $stepSizes)
          (f32x4.div (local.get $newM)
            (f32x4.add (f32x4.sqrt (local.get $newV)) (local.get $epsilons))))))
      (if (i32.lt_s (local.get $count) (i32.const 4)) (then
        (local.set $mask (call $lanes (local.get $count)))
        (local.set $newP (v128.bitselect (local.get $newP) (local.get $oldP) (local.get $mask)))
        (local.set $newM (v128.bitselect (local.get $newM) (local.get $oldM) (local.get $mask)))
        (local.set $newV (v128.bitselect (local.get $newV) (local.get $oldV) (local.get $mask)))))
      (v128.store (local.get $p) (local.get $newP))
      (v128.store (local.get $m) (local.get $newM))
      (v128.store (local.get $v) (local.get $newV))
      (local.set $p (i32.add (local.get $p) (i32.const 16)))
      (local.set $g (i32.add (local.get $g) (i32.const 16)))
      (local.set $m (i32.add (local.get $m) (i32.const 16)))
      (local.set $v (i32.add (local.get $v) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next))))

  ;; Gradient descent without memory: p ← p − learningRate·(gradientScale·g + l2·p)
  (func (export "sgd")
    (param $p i32) (param $g i32) (param $count i32)
    (param $gradientScale f32) (param $l2 f32) (param $learningRate f32)
    (local $scales v128) (local $l2s v128) (local $rates v128) (local $oldP v128) (local $newP v128)
    (local.set $scales (f32x4.splat (local.get $gradientScale)))
    (local.set $l2s (f32x4.splat (local.get $l2)))
    (local.set $rates (f32x4.splat (local.get $learningRate)))
    (block $done (loop $next
      (br_if $done (i32.le_s (local.get $count) (i32.const 0)))
      (local.set $oldP (v128.load (local.get $p)))
      (local.set $newP (f32x4.sub (local.get $oldP)
        (f32x4.mul (local.get $rates)
          (f32x4.add
            (f32x4.mul (v128.load (local.get $g)) (local.get $scales))
            (f32x4.mul (local.get $oldP) (local.get $l2s))))))
      (if (i32.lt_s (local.get $count) (i32.const 4)) (then
        (local.set $newP (v128.bitselect (local.get $newP) (local.get $oldP) (call $lanes (local.get $count))))))
      (v128.store (local.get $p) (local.get $newP))
      (local.set $p (i32.add (local.get $p) (i32.const 16)))
      (local.set $g (i32.add (local.get $g) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next))))

  ;; Gradient descent with momentum, in the order of operations of PyTorch's torch.optim.SGD:
  ;;
  ;;   g′ ← gradientScale·g + l2·p
  ;;   m  ← momentum·m + take·g′              take = 1 − dampening
  ;;   p  ← p − learningRate·(fromGradient·g′ + fromMomentum·m)
  ;;
  ;; The plain form has fromGradient 0 and fromMomentum 1; Nesterov's has 1 and momentum.
  (func (export "sgdMomentum")
    (param $p i32) (param $g i32) (param $m i32) (param $count i32)
    (param $gradientScale f32) (param $l2 f32) (param $learningRate f32)
    (param $momentum f32) (param $take f32) (param $fromGradient f32) (param $fromMomentum f32)
    (local $scales v128) (local $l2s v128) (local $rates v128) (local $momenta v128) (local $takes v128)
    (local $fromGradients v128) (local $fromMomenta v128)
    (local $oldP v128) (local $oldM v128) (local $gradient v128) (local $newP v128) (local $newM v128) (local $mask v128)
    (local.set $scales (f32x4.splat (local.get $gradientScale)))
    (local.set $l2s (f32x4.splat (local.get $l2)))
    (local.set $rates (f32x4.splat (local.get $learningRate)))
    (local.set $momenta (f32x4.splat (local.get $momentum)))
    (local.set $takes (f32x4.splat (local.get $take)))
    (local.set $fromGradients (f32x4.splat (local.get $fromGradient)))
    (local.set $fromMomenta (f32x4.splat (local.get $fromMomentum)))
    (block $done (loop $next
      (br_if $done (i32.le_s (local.get $count) (i32.const 0)))
      (local.set $oldP (v128.load (local.get $p)))
      (local.set $oldM (v128.load (local.get $m)))
      (local.set $gradient (f32x4.add
        (f32x4.mul (v128.load (local.get $g)) (local.get $scales))
        (f32x4.mul (local.get $oldP) (local.get $l2s))))
      (local.set $newM (f32x4.add
        (f32x4.mul (local.get $oldM) (local.get $momenta))
        (f32x4.mul (local.get $gradient) (local.get $takes))))
      (local.set $newP (f32x4.sub (local.get $oldP)
        (f32x4.mul (local.get $rates)
          (f32x4.add
            (f32x4.mul (local.get $gradient) (local.get $fromGradients))
            (f32x4.mul (local.get $newM) (local.get $fromMomenta))))))
      (if (i32.lt_s (local.get $count) (i32.const 4)) (then
        (local.set $mask (call $lanes (local.get $count)))
        (local.set $newP (v128.bitselect (local.get $newP) (local.get $oldP) (local.get $mask)))
        (local.set $newM (v128.bitselect (local.get $newM) (local.get $oldM) (local.get $mask)))))
      (v128.store (local.get $p) (local.get $newP))
      (v128.store (local.get $m) (local.get $newM))
      (local.set $p (i32.add (local.get $p) (i32.const 16)))
      (local.set $g (i32.add (local.get $g) (i32.const 16)))
      (local.set $m (i32.add (local.get $m) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 4)))
      (br $next))))

  ;; Words firstWord, firstWord + 1, … of a random stream, little-endian, `count` bytes of them from byte 0 of firstWord on:
  ;; word i is mix(mix(i + low) xor high) with mix as mix32 in base/random.ts, four words at a time.
  (func (export "fillRandomBytes")
    (param $y i32) (param $count i32) (param $low i32) (param $high i32) (param $firstWord i32)
    (local $counter v128) (local $highs v128) (local $word v128) (local $mask v128)
    (local.set $counter (i32x4.add
      (i32x4.splat (i32.add (local.get $firstWord) (local.get $low)))
      (v128.const i32x4 0 1 2 3)))
    (local.set $highs (i32x4.splat (local.get $high)))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $word (local.get $counter))
      (local.set $word (v128.xor (local.get $word) (i32x4.shr_u (local.get $word) (i32.const 16))))
      (local.set $word (i32x4.mul (local.get $word) (v128.const i32x4 0x21f0aaad 0x21f0aaad 0x21f0aaad 0x21f0aaad)))
      (local.set $word (v128.xor (local.get $word) (i32x4.shr_u (local.get $word) (i32.const 15))))
      (local.set $word (i32x4.mul (local.get $word) (v128.const i32x4 0x735a2d97 0x735a2d97 0x735a2d97 0x735a2d97)))
      (local.set $word (v128.xor (local.get $word) (i32x4.shr_u (local.get $word) (i32.const 15))))
      (local.set $word (v128.xor (local.get $word) (local.get $highs)))
      (local.set $word (v128.xor (local.get $word) (i32x4.shr_u (local.get $word) (i32.const 16))))
      (local.set $word (i32x4.mul (local.get $word) (v128.const i32x4 0x21f0aaad 0x21f0aaad 0x21f0aaad 0x21f0aaad)))
      (local.set $word (v128.xor (local.get $word) (i32x4.shr_u (local.get $word) (i32.const 15))))
      (local.set $word (i32x4.mul (local.get $word) (v128.const i32x4 0x735a2d97 0x735a2d97 0x735a2d97 0x735a2d97)))
      (local.set $word (v128.xor (local.get $word) (i32x4.shr_u (local.get $word) (i32.const 15))))
      (if (i32.lt_u (local.get $count) (i32.const 16)) (then
        (local.set $mask (i8x16.gt_s
          (i8x16.splat (local.get $count))
          (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)))
        (v128.store (local.get $y) (v128.bitselect (local.get $word) (v128.load (local.get $y)) (local.get $mask)))
        (br $done)))
      (v128.store (local.get $y) (local.get $word))
      (local.set $counter (i32x4.add (local.get $counter) (v128.const i32x4 4 4 4 4)))
      (local.set $y (i32.add (local.get $y) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 16)))
      (br $next)))))
