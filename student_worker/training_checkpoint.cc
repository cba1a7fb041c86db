#include "student_worker/training_checkpoint.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/digest.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/tensors/safetensors.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxFileBytes = int64_t{16} << 30;
constexpr char kStudent[] = "student.safetensors", kState[] = "state.safetensors",
               kManifest[] = "MANIFEST";
constexpr char kMomentum[] = "momentum/", kLosses[] = "losses/";

// Names sort by steps, then generation.
std::vector<std::string> NewestFirst(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, "step-") && !absl::StrContains(name, ".tmp")) names.push_back(name);
  }
  std::sort(names.rbegin(), names.rend());
  return names;
}

absl::Status WriteFiles(const std::string& path, const SegmentationModel& student,
                        const CheckpointInfo& info, const TrainingState& state) {
  REFLUX_RETURN_IF_ERROR(SaveModelCheckpoint(absl::StrCat(path, "/", kStudent), student, info));
  NamedTensors tensors;
  for (const auto& [name, tensor] : state.momentum) tensors[kMomentum + name] = tensor;
  for (const auto& [name, tensor] : state.loss_state) tensors[kLosses + name] = tensor;
  REFLUX_RETURN_IF_ERROR(WriteSafetensors(absl::StrCat(path, "/", kState), tensors,
                                          {{"format", "reflux-training-1"},
                                           {"step", absl::StrCat(state.step)},
                                           {"job_digest", state.job_digest}}));
  std::string manifest;
  for (const char* file : {kStudent, kState}) {
    REFLUX_ASSIGN_OR_RETURN(const std::string bytes,
                            ReadFile(absl::StrCat(path, "/", file), kMaxFileBytes));
    absl::StrAppend(&manifest, Sha256::Of(bytes).Hex(), " ", file, "\n");
  }
  return WriteFileAtomically(absl::StrCat(path, "/", kManifest), manifest);
}

absl::Status CheckManifest(const std::string& path) {
  REFLUX_ASSIGN_OR_RETURN(const std::string manifest,
                          ReadFile(absl::StrCat(path, "/", kManifest), 4096));
  int files = 0;
  for (absl::string_view line : absl::StrSplit(manifest, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, ' ');
    if (parts.size() != 2 || (parts[1] != kStudent && parts[1] != kState)) {
      return absl::DataLossError(absl::StrCat(path, ": the manifest is broken"));
    }
    REFLUX_ASSIGN_OR_RETURN(const std::string bytes,
                            ReadFile(absl::StrCat(path, "/", parts[1]), kMaxFileBytes));
    if (Sha256::Of(bytes).Hex() != parts[0]) {
      return absl::DataLossError(
          absl::StrCat(path, "/", parts[1], ": does not match the manifest"));
    }
    ++files;
  }
  return files == 2 ? absl::OkStatus()
                    : absl::DataLossError(absl::StrCat(path, ": the manifest is incomplete"));
}

}  // namespace

absl::StatusOr<std::string> SaveTrainingCheckpoint(const std::string& folder, int generation,
                                                   int keep, const SegmentationModel& student,
                                                   const CheckpointInfo& info,
                                                   const TrainingState& state) {
  const std::string path = absl::StrFormat("%s/step-%08d-gen-%04d", folder, state.step, generation);
  const std::string temporary = absl::StrCat(path, ".tmp.", getpid());
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directories(temporary, error);
  if (error)
    return absl::PermissionDeniedError(
        absl::StrCat("cannot create ", temporary, ": ", error.message()));
  const absl::Status written = WriteFiles(temporary, student, info, state);
  if (!written.ok()) {
    fs::remove_all(temporary, error);
    return written;
  }
  fs::remove_all(path, error);  // the same step of the same generation, after a resume
  fs::rename(temporary, path, error);
  if (error)
    return absl::InternalError(absl::StrCat("cannot rename to ", path, ": ", error.message()));
  std::vector<std::string> names = NewestFirst(folder);
  for (size_t i = std::max(keep, 1); i < names.size(); ++i)
    fs::remove_all(fs::path(folder) / names[i], error);
  return path;
}

std::string NewestValidCheckpoint(const std::string& folder) {
  for (const std::string& name : NewestFirst(folder)) {
    const std::string path = absl::StrCat(folder, "/", name);
    const absl::Status status = CheckManifest(path);
    if (status.ok()) return path;
    spdlog::warn("passing over a broken checkpoint: {}", std::string(status.message()));
  }
  return "";
}

absl::StatusOr<TrainingState> LoadTrainingCheckpoint(const std::string& path,
                                                     SegmentationModel& student) {
  REFLUX_RETURN_IF_ERROR(CheckManifest(path));
  REFLUX_ASSIGN_OR_RETURN(const SafetensorsFile file,
                          SafetensorsFile::Open(absl::StrCat(path, "/", kState)));
  TrainingState state;
  const auto step = file.metadata().find("step"), digest = file.metadata().find("job_digest");
  if (step == file.metadata().end() || digest == file.metadata().end() ||
      !absl::SimpleAtoi(step->second, &state.step) || state.step < 0) {
    return absl::DataLossError(absl::StrCat(path, ": state.safetensors lacks step or job digest"));
  }
  state.job_digest = digest->second;
  REFLUX_ASSIGN_OR_RETURN(const NamedTensors tensors, file.LoadAll());
  for (const auto& [name, tensor] : tensors) {
    absl::string_view rest = name;
    if (absl::ConsumePrefix(&rest, kMomentum)) state.momentum[std::string(rest)] = tensor;
    if (absl::ConsumePrefix(&rest, kLosses)) state.loss_state[std::string(rest)] = tensor;
  }
  REFLUX_RETURN_IF_ERROR(LoadModelWeights(absl::StrCat(path, "/", kStudent), student));
  return state;
}

}  // namespace reflux
