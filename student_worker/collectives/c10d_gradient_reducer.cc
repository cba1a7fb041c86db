#include "student_worker/collectives/c10d_gradient_reducer.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <unordered_map>
#include <utility>

namespace reflux {
namespace {

using Buckets = std::vector<std::vector<size_t>>;

// Parameters from last to first, as backward makes their gradients ready.
Buckets ReverseBuckets(const std::vector<torch::Tensor>& parameters,
                       const GradientReducerOptions& options) {
  std::vector<int64_t> indices(parameters.size());
  std::iota(indices.rbegin(), indices.rend(), 0);
  std::vector<torch::Tensor> reversed(parameters.rbegin(), parameters.rend());
  Buckets buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(
      reversed,
      {static_cast<size_t>(options.first_bucket_bytes), static_cast<size_t>(options.bucket_bytes)},
      std::vector<bool>(parameters.size(), false), indices));
  // Buckets of several dtypes come in the order of a hash map.
  std::sort(buckets.begin(), buckets.end(),
            [](const auto& a, const auto& b) { return a.front() > b.front(); });
  return buckets;
}

class C10dGradientReducer : public GradientReducer {
 public:
  C10dGradientReducer(std::vector<torch::Tensor> parameters,
                      c10::intrusive_ptr<c10d::ProcessGroup> group,
                      const GradientReducerOptions& options)
      : reducer_(std::make_unique<c10d::Reducer>(
            parameters, ReverseBuckets(parameters, options), std::move(group),
            /*expect_sparse_gradients=*/std::vector<bool>(parameters.size(), false),
            options.bucket_bytes, /*find_unused_parameters=*/true,
            /*gradient_as_bucket_view=*/false,
            /*param_names=*/std::unordered_map<size_t, std::string>{}, options.first_bucket_bytes,
            /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
            /*bucket_bytes_cap_list=*/std::vector<int64_t>{})) {}

  // c10d rebuilds buckets only when rebuild_buckets() is called, which is never done here.
  void PrepareForBackward(const torch::Tensor& loss) override {
    reducer_->prepare_for_backward({loss});
  }

 private:
  // By pointer: its destructor may throw, that of the interface may not.
  const std::unique_ptr<c10d::Reducer> reducer_;
};

}  // namespace

std::unique_ptr<GradientReducer> MakeC10dGradientReducer(
    std::vector<torch::Tensor> parameters, c10::intrusive_ptr<c10d::ProcessGroup> group,
    const GradientReducerOptions& options) {
  c10d::verify_params_across_processes(group, parameters, std::nullopt);
  return std::make_unique<C10dGradientReducer>(std::move(parameters), std::move(group), options);
}

}  // namespace reflux
