#include "cli/submit_coverage.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/connection.h"
#include "cli/subprocess.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "reflux/v1/jobs.grpc.pb.h"

namespace reflux {
namespace {

constexpr absl::Duration kCacheStarts = absl::Seconds(10);
constexpr absl::Duration kPoll = absl::Milliseconds(200);

bool Caches(const v1::JobSpec& spec) {
  return NeedsTeacher(spec.losses()) && spec.targets().cache() != "none" &&
         spec.targets().views() != "live";
}

// The addresses of the job's cache servers ("host:port,host:port") once all have registered; empty
// when Ctrl-C came first.
absl::StatusOr<std::string> AwaitCaches(Terminal& terminal, const std::string& endpoint,
                                        const std::string& job_id) {
  v1::GetJobRequest request;
  request.set_job_id(job_id);
  const absl::Time deadline = absl::Now() + kCacheStarts;
  do {
    REFLUX_ASSIGN_OR_RETURN(const v1::Job job,
                            Call<v1::JobService>(endpoint, &v1::JobService::Stub::GetJob, request));
    std::vector<std::string> addresses;
    bool all = true;
    for (const v1::Process& process : job.processes()) {
      if (!absl::StartsWith(process.role(), "cache/")) continue;
      all = all && !process.address().empty();
      addresses.push_back(process.address());
    }
    if (all && !addresses.empty()) return absl::StrJoin(addresses, ",");
    if (job.finished_unix_ms() > 0) return absl::UnavailableError("the job has ended");
    if (!WaitUnlessInterrupted(terminal, kPoll)) return std::string();
  } while (absl::Now() < deadline);
  return absl::UnavailableError("its cache has not started yet");
}

absl::StatusOr<std::string> AskCoverage(Terminal& terminal, const std::string& endpoint,
                                        const JobFileFlags& flags, const v1::Job& job) {
  REFLUX_ASSIGN_OR_RETURN(Execution planner, SiblingExecution("reflux-planner", {"coverage"}));
  REFLUX_ASSIGN_OR_RETURN(const std::string cache, AwaitCaches(terminal, endpoint, job.job_id()));
  if (cache.empty()) return cache;
  for (const std::string& argument : {flags.file, std::string("--cache"), cache}) {
    planner.arguments.push_back(argument);
  }
  for (const std::string& value : flags.overrides) {
    planner.arguments.push_back("--set");
    planner.arguments.push_back(value);
  }
  return OutputOf(planner);
}

}  // namespace

void TellCoverage(Terminal& terminal, const std::string& endpoint, const JobFileFlags& flags,
                  const v1::Job& job) {
  if (!Caches(job.spec())) return;
  const absl::StatusOr<std::string> coverage = AskCoverage(terminal, endpoint, flags, job);
  terminal.err << (coverage.ok() ? *coverage
                                 : absl::StrCat("how much is cached is not known: ",
                                                coverage.status().message(), "\n"))
               << std::flush;
}

}  // namespace reflux
