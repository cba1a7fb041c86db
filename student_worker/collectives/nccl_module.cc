#include "student_worker/collectives/nccl_module.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

constexpr char kFileName[] = "libreflux_nccl.so";
constexpr char kSymbol[] = "reflux_make_nccl_backend";

absl::Status CannotLoad(absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat("the NCCL backend cannot be loaded: ", why,
                   "; install the CUDA libraries with deploy/setup.sh --cuda, or train on the CPU "
                   "(backend gloo)"));
}

}  // namespace

std::vector<std::string> NcclModulePaths() {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  return {folder / kFileName, (folder.parent_path() / "lib") / kFileName};
}

absl::StatusOr<MakeNcclBackendFn> LoadNcclModule(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    // Global, so that later modules share the one copy of libtorch_cuda.
    void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (module == nullptr) return CannotLoad(dlerror());
    void* symbol = dlsym(module, kSymbol);
    if (symbol == nullptr) return CannotLoad(dlerror());
    return reinterpret_cast<MakeNcclBackendFn>(symbol);
  }
  return CannotLoad(absl::StrCat(kFileName, " is not at ", absl::StrJoin(paths, " nor ")));
}

}  // namespace reflux
