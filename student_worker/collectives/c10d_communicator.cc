#include "student_worker/collectives/c10d_communicator.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "student_worker/collectives/c10_status.h"
#include "student_worker/collectives/c10d_gradient_reducer.h"
#include "student_worker/collectives/nccl_module.h"
#include "student_worker/collectives/rendezvous_state.h"

namespace reflux {
namespace {

using c10::intrusive_ptr;
using c10d::ProcessGroup;
using torch::Tensor;

std::string RankText(const ConnectOptions& options) {
  return absl::StrCat("rank ", options.rank, " of ", options.world_size, ", generation ",
                      options.generation);
}

absl::StatusOr<intrusive_ptr<c10d::Backend>> MakeNccl(const intrusive_ptr<c10d::Store>& store,
                                                      const ConnectOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const MakeNcclBackendFn make, LoadNcclModule(NcclModulePaths()));
  std::string error;
  c10d::Backend* backend = make(store, options.rank, options.world_size,
                                absl::ToInt64Milliseconds(options.timeout), error);
  if (backend == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("NCCL on ", RankText(options), ": ", error,
                                                      "; check the driver with nvidia-smi"));
  }
  return intrusive_ptr<c10d::Backend>::reclaim(backend);
}

intrusive_ptr<c10d::Backend> MakeGloo(const intrusive_ptr<c10d::Store>& store,
                                      const std::string& local_address,
                                      const ConnectOptions& options) {
  auto gloo = c10d::ProcessGroupGloo::Options::create(absl::ToChronoMilliseconds(options.timeout));
  gloo->devices.push_back(
      c10d::ProcessGroupGloo::createDeviceForHostname(local_address, /*lazyInit=*/false));
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, options.rank, options.world_size, gloo);
}

// A group with channels of its own; `name` parts its keys in the store from other groups'.
absl::StatusOr<intrusive_ptr<ProcessGroup>> MakeGroup(absl::string_view name,
                                                      const ConnectOptions& options,
                                                      const RendezvousStore& rendezvous) {
  const intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::PrefixStore>(
      absl::StrCat("reflux/", options.generation, "/", name), rendezvous.state().store);
  intrusive_ptr<ProcessGroup> group;
  REFLUX_RETURN_IF_ERROR(CatchRendezvousErrors(
      absl::StrCat("connecting ", RankText(options), " from ", rendezvous.local_address()), [&] {
        group = c10::make_intrusive<ProcessGroup>(store, options.rank, options.world_size);
        group->setBackend(c10::DeviceType::CPU, ProcessGroup::BackendType::GLOO,
                          MakeGloo(c10::make_intrusive<c10d::PrefixStore>("gloo", store),
                                   rendezvous.local_address(), options));
      }));
  group->setDefaultBackend(ProcessGroup::BackendType::GLOO);
  // Gloo carries tensors of a GPU through host memory.
  if (options.backend == "gloo")
    group->setBackend(c10::DeviceType::CUDA, ProcessGroup::BackendType::GLOO,
                      group->getBackend(c10::DeviceType::CPU));
  if (options.backend == "nccl") {
    REFLUX_ASSIGN_OR_RETURN(
        intrusive_ptr<c10d::Backend> nccl,
        MakeNccl(c10::make_intrusive<c10d::PrefixStore>("nccl", store), options));
    group->setBackend(c10::DeviceType::CUDA, ProcessGroup::BackendType::NCCL, nccl);
    group->setDefaultBackend(ProcessGroup::BackendType::NCCL);
  }
  return group;
}

class C10dCommunicator : public Communicator {
 public:
  C10dCommunicator(ConnectOptions options, RendezvousStore store, intrusive_ptr<ProcessGroup> group)
      : options_(std::move(options)), store_(std::move(store)), group_(std::move(group)) {}

  int rank() const override { return options_.rank; }
  int world_size() const override { return options_.world_size; }

  void AllReduceSum(Tensor& tensor) override {
    Run("all-reduce", tensor, [](c10d::Backend& backend, std::vector<Tensor>& tensors) {
      return backend.allreduce(tensors);
    });
  }

  void Broadcast(Tensor& tensor, int root) override {
    TORCH_CHECK(root >= 0 && root < world_size(), "broadcast from rank ", root, " of ",
                world_size());
    c10d::BroadcastOptions broadcast;
    broadcast.rootRank = root;
    Run("broadcast", tensor, [&](c10d::Backend& backend, std::vector<Tensor>& tensors) {
      return backend.broadcast(tensors, broadcast);
    });
  }

  // A sum on the CPU whatever the backend: NCCL's own barrier would have to guess a device.
  void Barrier() override {
    Tensor one = torch::ones({1}, torch::kInt64);
    AllReduceSum(one);
  }

  absl::StatusOr<std::unique_ptr<GradientReducer>> MakeGradientReducer(
      const std::vector<Tensor>& parameters, const GradientReducerOptions& options) override;

 private:
  template <typename Collective>
  void Run(const char* what, Tensor& tensor, Collective&& collective) {
    if (tensor.numel() == 0) return;
    torch::NoGradGuard no_grad;
    const Tensor target = tensor.detach();
    std::vector<Tensor> tensors = {target.contiguous()};
    try {
      collective(*group_->getBackend(tensor.device().type()), tensors)->wait();
    } catch (const c10::Error& error) {
      Throw(what, error.what_without_backtrace());
    } catch (const std::exception& error) {  // Gloo has exceptions of its own
      Throw(what, error.what());
    }
    if (!tensors[0].is_same(target)) target.copy_(tensors[0]);
  }

  [[noreturn]] void Throw(const char* what, const char* why) const {
    C10_THROW_ERROR(DistBackendError, absl::StrCat(what, " on ", RankText(options_), ": ", why));
  }

  const ConnectOptions options_;
  const RendezvousStore store_;
  const intrusive_ptr<ProcessGroup> group_;
  int reducers_ = 0;
};

absl::StatusOr<std::unique_ptr<GradientReducer>> C10dCommunicator::MakeGradientReducer(
    const std::vector<Tensor>& parameters, const GradientReducerOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  if (world_size() == 1) return SingleProcessCommunicator().MakeGradientReducer({}, options);
  std::vector<Tensor> trained;
  for (const Tensor& parameter : parameters) {
    if (parameter.requires_grad()) trained.push_back(parameter);
  }
  if (trained.empty()) return absl::InvalidArgumentError("no parameter requires a gradient");
  REFLUX_ASSIGN_OR_RETURN(const intrusive_ptr<ProcessGroup> group,
                          MakeGroup(absl::StrCat("gradients", reducers_++), options_, store_));
  std::unique_ptr<GradientReducer> reducer;
  REFLUX_RETURN_IF_ERROR(CatchRendezvousErrors(
      absl::StrCat("gradient reducer of ", RankText(options_)),
      [&] { reducer = MakeC10dGradientReducer(std::move(trained), group, options); }));
  return reducer;
}

}  // namespace

absl::Status ConnectOptions::Validate() const {
  if (backend != "gloo" && backend != "nccl") {
    return absl::InvalidArgumentError(
        absl::StrCat("backend '", backend, "' is neither gloo nor nccl"));
  }
  if (world_size < 1 || rank < 0 || rank >= world_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank, " is not in a world of ", world_size));
  }
  if (timeout < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError("the time-out of a process group must be positive");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Communicator>> Connect(const ConnectOptions& options,
                                                      const RendezvousStore& store) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  REFLUX_ASSIGN_OR_RETURN(intrusive_ptr<ProcessGroup> group,
                          MakeGroup("collectives", options, store));
  auto communicator = std::make_unique<C10dCommunicator>(options, store, std::move(group));
  // Proves that every channel works before any rank goes on.
  REFLUX_RETURN_IF_ERROR(CatchRendezvousErrors("first barrier", [&] { communicator->Barrier(); }));
  return communicator;
}

}  // namespace reflux
