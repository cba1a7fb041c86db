// Job text for the tests of the job file.
#pragma once

#include <string>
#include <vector>

#include "common/spec/job_file.h"

namespace reflux {

// The smallest job with a teacher; 6 lines.
inline constexpr char kSmallJob[] = R"(name: small
data: {format: camvid, root: camvid}
teacher: {checkpoint: t.safetensors}
student: {model: deeplabv3_resnet18}
losses: {kd: {}}
train: {steps: 10}
)";

inline absl::StatusOr<v1::JobSpec> Parse(const std::string& text,
                                         const std::vector<std::string>& overrides = {}) {
  return ParseJob({text, "job.yaml", "/jobs", "job"}, overrides);
}

// The message of a job that must be refused, "OK" when it is not.
inline std::string Refusal(const std::string& text,
                           const std::vector<std::string>& overrides = {}) {
  return std::string(Parse(text, overrides).status().message());
}

inline std::string Refusal(const std::string& text, absl::StatusCode code) {
  const absl::Status status = Parse(text).status();
  return status.code() == code ? std::string(status.message()) : status.ToString();
}

}  // namespace reflux
