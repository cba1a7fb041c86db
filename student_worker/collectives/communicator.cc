#include "student_worker/collectives/communicator.h"

#include "common/base/status_macros.h"

namespace reflux {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// Carries the communicator through the autograd context.
struct CommunicatorHolder : torch::CustomClassHolder {
  explicit CommunicatorHolder(Communicator& value) : communicator(value) {}
  Communicator& communicator;
};

struct SumOverRanks : torch::autograd::Function<SumOverRanks> {
  static Tensor forward(AutogradContext* context, const Tensor& tensor,
                        const c10::intrusive_ptr<CommunicatorHolder>& holder) {
    context->saved_data["communicator"] = c10::IValue::make_capsule(holder);
    Tensor sum = tensor.clone(torch::MemoryFormat::Contiguous);
    holder->communicator.AllReduceSum(sum);
    return sum;
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const auto holder = c10::static_intrusive_pointer_cast<CommunicatorHolder>(
        context->saved_data["communicator"].toCapsule());
    Tensor gradient = gradients[0].clone(torch::MemoryFormat::Contiguous);
    holder->communicator.AllReduceSum(gradient);
    return {gradient, {}};
  }
};

class NoReduction : public GradientReducer {
 public:
  void PrepareForBackward(const Tensor&) override {}
};

}  // namespace

absl::Status GradientReducerOptions::Validate() const {
  if (first_bucket_bytes < 1 || bucket_bytes < 1) {
    return absl::InvalidArgumentError("gradient buckets must hold at least one byte");
  }
  return absl::OkStatus();
}

Tensor Communicator::AllReduceSumDifferentiable(const Tensor& tensor) {
  if (world_size() == 1) return tensor;
  return SumOverRanks::apply(tensor, c10::make_intrusive<CommunicatorHolder>(*this));
}

absl::StatusOr<std::unique_ptr<GradientReducer>> SingleProcessCommunicator::MakeGradientReducer(
    const std::vector<Tensor>& parameters, const GradientReducerOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return std::make_unique<NoReduction>();
}

}  // namespace reflux
