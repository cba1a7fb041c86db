// What this machine's processor can do. Thread-safe.
#pragma once

namespace reflux {

// Whether LibTorch computes bf16 by the processor's vectors: oneDNN, which does, asks for AVX-512
// (BW, VL and DQ). Without it products and convolutions of bf16 go element by element and a network
// trains many times slower than in fp32. True on processors other than x86-64, where nothing is
// known.
bool ComputesBf16Fast();

}  // namespace reflux
