// One target of fuzz_targets.cc under libFuzzer: REFLUX_FUZZ_TARGET says which, and the processes
// that libFuzzer starts (-fork, -merge, -minimize_crash) inherit it. The command line is
// libFuzzer's.
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "tests/fuzz/fuzz_targets.h"

namespace reflux {
namespace {

const FuzzTarget& ChosenTarget() {
  const char* const name = std::getenv("REFLUX_FUZZ_TARGET");
  for (const FuzzTarget& target : FuzzTargets()) {
    if (name != nullptr && target.name == name) return target;
  }
  std::cerr << "REFLUX_FUZZ_TARGET is none of:";
  for (const FuzzTarget& target : FuzzTargets()) std::cerr << ' ' << target.name;
  std::cerr << std::endl;
  std::exit(2);
}

}  // namespace
}  // namespace reflux

// Strings and vectors that cross into Debian's protobuf, gRPC and OpenCV are changed there by code
// that does not tell AddressSanitizer: what it says of their unused capacity is not true.
extern "C" const char* __asan_default_options() { return "detect_container_overflow=0"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const reflux::FuzzTarget& target = reflux::ChosenTarget();
  target.parse({reinterpret_cast<const char*>(data), size});
  return 0;
}
