#include "tests/fuzz/fuzz_targets.h"

#include <google/protobuf/stubs/logging.h>

#include "tests/fuzz/target_list.h"

namespace reflux {

const std::vector<FuzzTarget>& FuzzTargets() {
  static const auto* const targets = [] {
    google::protobuf::SetLogHandler(nullptr);  // a line for each refused string
    auto* const all = new std::vector<FuzzTarget>(MessageTargets());
    for (const FuzzTarget& target : FileTargets()) all->push_back(target);
    return all;
  }();
  return *targets;
}

}  // namespace reflux
