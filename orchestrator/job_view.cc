#include "orchestrator/job_view.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "orchestrator/job_plan.h"

namespace reflux {
namespace {

v1::Process DescribeRank(const store::JobRecord& record, int index) {
  const store::Rank& rank = record.status().ranks(index);
  v1::Process process;
  process.set_launch_id(WorkerLaunchId(record.job_id(), record.status().generation(), index));
  process.set_role(absl::StrCat("worker/", index));
  process.set_generation(record.status().generation());
  process.set_pid(rank.pid());
  process.set_metrics_address(rank.metrics_address());
  process.set_state(rank.phase() == store::Rank::EXITED       ? "exited"
                    : rank.phase() == store::Rank::REGISTERED ? "running"
                                                              : "starting");
  process.set_exit_code(rank.exit_code());
  process.set_restarts(record.status().restarts());
  return process;
}

}  // namespace

v1::Job DescribeJob(const store::JobRecord& record) {
  v1::Job view;
  view.set_job_id(record.job_id());
  *view.mutable_spec() = record.spec();
  view.set_state(record.status().state());
  view.set_message(record.status().message());
  view.set_submitted_unix_ms(record.submitted_unix_ms());
  view.set_started_unix_ms(record.started_unix_ms());
  view.set_finished_unix_ms(record.finished_unix_ms());
  view.set_generation(record.status().generation());
  view.set_restarts(record.status().restarts());
  *view.mutable_progress() = record.progress();
  view.set_directory(record.directory());
  for (int rank = 0; rank < record.status().ranks_size(); ++rank) {
    *view.add_processes() = DescribeRank(record, rank);
  }
  return view;
}

int RankOf(const std::string& role) {
  int rank = -1;
  absl::string_view number = role;
  return absl::ConsumePrefix(&number, "worker/") && absl::SimpleAtoi(number, &rank) ? rank : -1;
}

}  // namespace reflux
