#include "orchestrator/process/process_record.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr int64_t kMaxRecordBytes = 64 << 10;

std::string StartedFile(const std::string& path) { return path + ".process.json"; }
std::string ExitFile(const std::string& path) { return path + ".exit.json"; }

// Calls `read(json)`; anything missing or of another type is DataLoss.
template <typename Read>
auto Parse(const std::string& file, Read read) -> absl::StatusOr<decltype(read({}))> {
  REFLUX_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxRecordBytes));
  try {
    return read(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    return absl::DataLossError(absl::StrCat(file, " is not a process record: ", error.what()));
  }
}

}  // namespace

absl::Status ClaimProcessRecord(const std::string& path, const ProcessRecord& record) {
  const nlohmann::json json = {{"launch_id", record.launch_id},
                               {"boot_id", record.boot_id},
                               {"supervisor_pid", record.supervisor_pid},
                               {"supervisor_start", record.supervisor_start},
                               {"pid", record.pid},
                               {"start_time", record.start_time}};
  const std::string file = StartedFile(path);
  const std::string draft = absl::StrCat(file, ".draft.", getpid());
  REFLUX_RETURN_IF_ERROR(WriteFileAtomically(draft, json.dump() + "\n"));
  if (renameat2(AT_FDCWD, draft.c_str(), AT_FDCWD, file.c_str(), RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  unlink(draft.c_str());
  if (error == EEXIST) return absl::AlreadyExistsError(absl::StrCat(file, " exists"));
  return ErrnoStatus(error, "cannot rename to", file);
}

absl::StatusOr<ProcessRecord> ReadProcessRecord(const std::string& path) {
  return Parse(StartedFile(path), [](const nlohmann::json& json) {
    return ProcessRecord{.launch_id = json.at("launch_id").get<std::string>(),
                         .boot_id = json.at("boot_id").get<std::string>(),
                         .supervisor_pid = json.at("supervisor_pid").get<pid_t>(),
                         .supervisor_start = json.at("supervisor_start").get<uint64_t>(),
                         .pid = json.at("pid").get<pid_t>(),
                         .start_time = json.at("start_time").get<uint64_t>()};
  });
}

absl::Status WriteExitRecord(const std::string& path, const ExitRecord& record) {
  const nlohmann::json json = {
      {"exit_code", record.exit_code}, {"signal", record.signal}, {"cause", record.cause}};
  return WriteFileAtomically(ExitFile(path), json.dump() + "\n");
}

absl::StatusOr<ExitRecord> ReadExitRecord(const std::string& path) {
  return Parse(ExitFile(path), [](const nlohmann::json& json) {
    return ExitRecord{.exit_code = json.at("exit_code").get<int>(),
                      .signal = json.at("signal").get<int>(),
                      .cause = json.at("cause").get<std::string>()};
  });
}

}  // namespace reflux
