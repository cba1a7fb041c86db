// libFuzzer's entry: REFLUX_FUZZ_TARGET names the parser. Configured with -DREFLUX_FUZZ=ON and
// clang (tests/fuzz/README.md).
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "tests/fuzz/fuzz_targets.h"

namespace {

const reflux::FuzzTarget& Chosen() {
  const char* name = std::getenv("REFLUX_FUZZ_TARGET");
  for (const reflux::FuzzTarget& target : reflux::FuzzTargets()) {
    if (name != nullptr && target.name == name) return target;
  }
  std::cerr << "set REFLUX_FUZZ_TARGET to one of:";
  for (const reflux::FuzzTarget& target : reflux::FuzzTargets()) std::cerr << " " << target.name;
  std::cerr << std::endl;
  std::exit(2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const reflux::FuzzTarget& target = Chosen();
  target.parse({reinterpret_cast<const char*>(data), size});
  return 0;
}
