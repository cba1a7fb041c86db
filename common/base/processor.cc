#include "common/base/processor.h"

namespace reflux {

bool ComputesBf16Fast() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0;
#else
  return true;
#endif
}

}  // namespace reflux
