#include "student_worker/collectives/backend_choice.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "student_worker/collectives/c10_status.h"
#include "student_worker/collectives/rendezvous_state.h"

namespace reflux {
namespace {

constexpr char kPrefix = '=';  // no value in the store is empty

std::string KeyOf(const ConnectOptions& options, int rank) {
  return absl::StrCat("reflux/", options.generation, "/gpu/", rank);
}

}  // namespace

std::string ChooseBackend(const std::vector<std::string>& gpus) {
  const std::set<std::string> distinct(gpus.begin(), gpus.end());
  return distinct.size() == gpus.size() && distinct.count("") == 0 ? "nccl" : "gloo";
}

absl::StatusOr<std::string> AgreeOnBackend(const std::string& gpu, const ConnectOptions& options,
                                           const RendezvousStore& store) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  std::vector<std::string> gpus;
  REFLUX_RETURN_IF_ERROR(CatchRendezvousErrors("learning the GPUs of all ranks", [&] {
    c10d::Store& values = *store.state().store;
    values.set(KeyOf(options, options.rank), absl::StrCat(std::string(1, kPrefix), gpu));
    for (int rank = 0; rank < options.world_size; ++rank) {
      const std::vector<uint8_t> told = values.get(KeyOf(options, rank));
      gpus.emplace_back(told.begin() + 1, told.end());
    }
  }));
  return ChooseBackend(gpus);
}

}  // namespace reflux
