#include "cache/rados/rados_reading.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {

// Where librados writes to until the read is complete: must not move.
struct RadosReading::State {
  State(std::shared_ptr<RadosCluster> the_cluster, size_t pieces)
      : cluster(std::move(the_cluster)), sizes(pieces), results(pieces) {}
  ~State() {
    if (started) rados_aio_wait_for_complete(completion);
    if (completion != nullptr) rados_aio_release(completion);
  }

  const std::shared_ptr<RadosCluster> cluster;
  const RadosReadOp op = MakeRadosReadOp();
  std::vector<size_t> sizes;  // read
  std::vector<int> results;
  rados_completion_t completion = nullptr;
  bool started = false;
  absl::Status status;
  std::string object;
};

RadosReading::RadosReading(std::shared_ptr<RadosCluster> cluster, rados_ioctx_t io,
                           const std::string& object, const std::vector<Memory>& into)
    : state_(std::make_unique<State>(std::move(cluster), into.size())) {
  State& state = *state_;
  state.object = object.substr(0, 16);
  state.status = state.cluster->Ready();
  if (!state.status.ok()) return;
  uint64_t offset = 0;
  for (size_t i = 0; i < into.size(); ++i) {
    if (into[i].size == 0) continue;  // would mean: to the object's end
    rados_read_op_read(state.op.get(), offset, into[i].size, into[i].bytes, &state.sizes[i],
                       &state.results[i]);
    offset += into[i].size;
  }
  rados_aio_create_completion2(nullptr, nullptr, &state.completion);
  const int result =
      rados_aio_read_op_operate(state.op.get(), io, state.completion, object.c_str(), 0);
  state.started = result == 0;
  state.status = state.cluster->Translate(result, absl::StrCat("read ", state.object));
}

RadosReading::RadosReading(RadosReading&&) noexcept = default;
RadosReading::~RadosReading() = default;

absl::StatusOr<size_t> RadosReading::Await() {
  REFLUX_RETURN_IF_ERROR(state_->status);
  rados_aio_wait_for_complete(state_->completion);
  const int result = rados_aio_get_return_value(state_->completion);
  REFLUX_RETURN_IF_ERROR(state_->cluster->Translate(result, absl::StrCat("read ", state_->object)));
  return std::accumulate(state_->sizes.begin(), state_->sizes.end(), size_t{0});
}

}  // namespace reflux
