#include "cli/job_commands.h"

#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/connection.h"
#include "cli/job_text.h"
#include "cli/submit_coverage.h"
#include "cli/watch.h"
#include "common/base/exit_codes.h"
#include "common/spec/job_file.h"
#include "reflux/v1/jobs.grpc.pb.h"

namespace reflux {
namespace {

constexpr int64_t kLogBytes = 64 << 10;
constexpr absl::Duration kLogPoll = absl::Milliseconds(500);

v1::GetJobRequest JobRequest(const std::string& job_id) {
  v1::GetJobRequest request;
  request.set_job_id(job_id);
  return request;
}

// Two submissions of one file are two jobs, a repeated call is one.
std::string NewRequestId() {
  std::random_device random;
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8),
                      absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8));
}

}  // namespace

int Submit(Terminal& terminal, const std::string& endpoint, const JobFileFlags& flags, bool watch) {
  absl::StatusOr<v1::JobSpec> spec = LoadJobFile(flags.file, flags.overrides);
  if (!spec.ok()) {
    terminal.err << spec.status().message() << std::endl;
    return kExitFailed;
  }
  v1::SubmitJobRequest request;
  request.set_request_id(NewRequestId());
  *request.mutable_spec() = *std::move(spec);
  const absl::StatusOr<v1::Job> job =
      Call<v1::JobService>(endpoint, &v1::JobService::Stub::SubmitJob, request);
  if (!job.ok()) return Fail(terminal, job.status());
  if (terminal.json) {
    terminal.out << MessageJson(*job, !watch);
  } else {
    terminal.out << job->job_id() << std::endl;
  }
  if (!terminal.json) TellCoverage(terminal, endpoint, flags, *job);
  if (watch) return Watch(terminal, endpoint, job->job_id());
  terminal.err << "submitted; follow it with: reflux watch " << job->job_id() << std::endl;
  return kExitDone;
}

int ListJobs(Terminal& terminal, const std::string& endpoint) {
  const absl::StatusOr<v1::ListJobsResponse> jobs =
      Call<v1::JobService>(endpoint, &v1::JobService::Stub::ListJobs, v1::ListJobsRequest());
  if (!jobs.ok()) return Fail(terminal, jobs.status());
  terminal.out << (terminal.json ? MessageJson(*jobs, true) : JobsTable(*jobs, absl::Now()));
  return kExitDone;
}

int Describe(Terminal& terminal, const std::string& endpoint, const std::string& job_id) {
  const absl::StatusOr<v1::Job> job =
      Call<v1::JobService>(endpoint, &v1::JobService::Stub::GetJob, JobRequest(job_id));
  if (!job.ok()) return Fail(terminal, job.status());
  terminal.out << (terminal.json ? MessageJson(*job, true) : DescribeText(*job, absl::Now()));
  return kExitDone;
}

int Cancel(Terminal& terminal, const std::string& endpoint, const std::string& job_id) {
  const absl::StatusOr<v1::Job> job =
      Call<v1::JobService>(endpoint, &v1::JobService::Stub::CancelJob, JobRequest(job_id));
  if (!job.ok()) return Fail(terminal, job.status());
  if (terminal.json) {
    terminal.out << MessageJson(*job, true);
  } else {
    terminal.out << job_id << " is " << StateName(job->state()) << std::endl;
  }
  return kExitDone;
}

int Logs(Terminal& terminal, const std::string& endpoint, const LogFlags& flags) {
  v1::ReadLogRequest request;
  request.set_job_id(flags.job_id);
  request.set_role(flags.role);
  request.set_offset(-kLogBytes);
  request.set_max_bytes(kLogBytes);
  while (true) {
    const absl::StatusOr<v1::ReadLogResponse> part =
        Call<v1::JobService>(endpoint, &v1::JobService::Stub::ReadLog, request);
    if (!part.ok()) return Fail(terminal, part.status());
    terminal.out << (terminal.json ? MessageJson(*part, !flags.follow) : part->content())
                 << std::flush;
    request.set_offset(part->next_offset());
    if (!flags.follow || (part->job_finished() && part->content().empty())) return kExitDone;
    if (part->content().empty() && !WaitUnlessInterrupted(terminal, kLogPoll)) return kExitDone;
  }
}

}  // namespace reflux
