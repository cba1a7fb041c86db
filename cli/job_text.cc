#include "cli/job_text.h"

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/table.h"
#include "common/base/loss_text.h"
#include "common/base/progress_bar.h"
#include "common/spec/job_teachers.h"

namespace reflux {
namespace {

std::string LossesText(const v1::Progress& progress) {
  std::map<std::string, double> losses(progress.losses().begin(), progress.losses().end());
  std::optional<double> total;
  if (const auto it = losses.find("total"); it != losses.end()) {
    total = it->second;
    losses.erase(it);
  }
  return LossText(total, losses);
}

// An evaluation has pixel accuracy or class IoUs; 0 alone is what a new job's message holds.
bool IsEvaluated(const v1::Progress& p) {
  return p.miou() >= 0 && (p.miou() > 0 || p.pixel_accuracy() > 0 || p.class_iou_size() > 0);
}

// Accuracy of a classifier, mIoU of others; empty: not evaluated.
std::string ScoreText(const v1::Progress& p) {
  if (p.has_top1()) {
    return absl::StrCat("top-1 ", FixedText(p.top1(), 2), " %",
                        p.has_top5() ? absl::StrCat(", top-5 ", FixedText(p.top5(), 2), " %") : "");
  }
  return IsEvaluated(p) ? absl::StrCat("mIoU ", FixedText(p.miou(), 2), " %") : "";
}

// "road 93.10, car 71.20, pole -": "-" for a class that occurs nowhere. A class whose name the job
// file does not say is its index.
std::string ClassIouText(const v1::Job& job) {
  const v1::Progress& progress = job.progress();
  const auto& names = job.spec().data().classes();
  const bool named = names.size() == progress.class_iou_size();
  std::vector<std::string> classes;
  for (int i = 0; i < progress.class_iou_size(); ++i) {
    const double iou = progress.class_iou(i);
    classes.push_back(
        absl::StrCat(named ? names[i] : absl::StrCat(i), " ", iou < 0 ? "-" : FixedText(iou, 2)));
  }
  return absl::StrJoin(classes, ", ");
}

// What `reflux describe` adds to the score; a classifier's is whole.
void AddScores(const v1::Job& job, std::vector<std::vector<std::string>>& rows) {
  const v1::Progress& progress = job.progress();
  if (progress.has_top1() || !IsEvaluated(progress)) return;
  if (progress.pixel_accuracy() > 0) {
    rows.push_back(
        {"pixel accuracy:", absl::StrCat(FixedText(progress.pixel_accuracy(), 2), " %")});
  }
  if (progress.class_iou_size() > 0) rows.push_back({"class IoU, %:", ClassIouText(job)});
}

std::string ScoreColumn(const v1::Progress& p) {
  if (p.has_top1()) return absl::StrCat(FixedText(p.top1(), 2), " top-1");
  return IsEvaluated(p) ? FixedText(p.miou(), 2) : "-";
}

std::string StepText(const v1::Progress& progress) {
  if (progress.total_steps() == 0) return "-";
  return absl::StrCat(progress.step(), "/", progress.total_steps());
}

std::string TimeText(int64_t unix_ms) {
  return unix_ms == 0 ? "-"
                      : absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMillis(unix_ms),
                                         absl::LocalTimeZone());
}

std::vector<std::string> JobRow(const v1::Job& job, absl::Time now) {
  const v1::Progress& progress = job.progress();
  return {job.job_id(),
          job.spec().name(),
          StateName(job.state()),
          StepText(progress),
          ScoreColumn(progress),
          job.started_unix_ms() == 0 ? "-" : ClockText(absl::Seconds(RunSeconds(job, now))),
          absl::StrCat(job.restarts()),
          job.message()};
}

std::string ProcessesTable(const v1::Job& job) {
  std::vector<std::vector<std::string>> rows = {
      {"ROLE", "STATE", "PID", "GENERATION", "RESTARTS", "EXIT", "ADDRESS", "METRICS"}};
  for (const v1::Process& process : job.processes()) {
    const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
    rows.push_back({process.role(), process.state(), absl::StrCat(process.pid()),
                    absl::StrCat(process.generation()), absl::StrCat(process.restarts()),
                    process.state() == "exited" ? absl::StrCat(process.exit_code()) : "-",
                    or_dash(process.address()), or_dash(process.metrics_address())});
  }
  return TableText(rows);
}

}  // namespace

std::string StateName(v1::JobState state) {
  const std::string name = v1::JobState_Name(state);
  return absl::AsciiStrToLower(name.substr(std::min<size_t>(name.size(), 10)));  // JOB_STATE_
}

bool IsFinalState(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

std::string ProgressNote(const v1::Job& job) {
  const v1::Progress& progress = job.progress();
  std::vector<std::string> parts;
  if (const std::string losses = LossesText(progress); !losses.empty()) parts.push_back(losses);
  if (const std::string score = ScoreText(progress); !score.empty()) parts.push_back(score);
  if (progress.images_per_second() > 0) {
    parts.push_back(absl::StrFormat("%.3g images/s", progress.images_per_second()));
  }
  if (progress.step() > 0 && NeedsTeacher(job.spec().losses())) {
    parts.push_back(
        absl::StrFormat("wait for targets %.3g ms", 1000 * progress.wait_for_targets_seconds()));
  }
  return absl::StrJoin(parts, ", ");
}

int64_t RunSeconds(const v1::Job& job, absl::Time now) {
  if (job.started_unix_ms() == 0) return 0;
  const int64_t end =
      job.finished_unix_ms() != 0 ? job.finished_unix_ms() : absl::ToUnixMillis(now);
  return std::max<int64_t>(0, (end - job.started_unix_ms()) / 1000);
}

std::string JobsTable(const v1::ListJobsResponse& jobs, absl::Time now) {
  std::vector<v1::Job> sorted(jobs.jobs().begin(), jobs.jobs().end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const v1::Job& a, const v1::Job& b) {
    return a.submitted_unix_ms() > b.submitted_unix_ms();
  });
  std::vector<std::vector<std::string>> rows = {
      {"ID", "NAME", "STATE", "STEP", "MIOU", "TIME", "RESTARTS", "MESSAGE"}};
  for (const v1::Job& job : sorted) rows.push_back(JobRow(job, now));
  return TableText(rows);
}

std::string DescribeText(const v1::Job& job, absl::Time now) {
  const v1::Progress& progress = job.progress();
  std::vector<std::vector<std::string>> rows = {
      {"id:", job.job_id()},
      {"name:", job.spec().name()},
      {"state:",
       absl::StrCat(StateName(job.state()), job.message().empty() ? "" : ": ", job.message())},
      {"submitted:", TimeText(job.submitted_unix_ms())},
      {"started:", TimeText(job.started_unix_ms())},
      {"finished:", TimeText(job.finished_unix_ms())},
      {"run time:", ClockText(absl::Seconds(RunSeconds(job, now)))},
      {"generation:", absl::StrCat(job.generation(), ", ", job.restarts(), " restarts")},
      {"folder:", job.directory()},
      {"step:", StepText(progress)},
      {"phase:", progress.phase().empty() ? "-" : progress.phase()},
      {"progress:", ProgressNote(job)}};
  AddScores(job, rows);
  rows.push_back({"checkpoint:", progress.checkpoint().empty() ? "-" : progress.checkpoint()});
  rows.push_back({"targets:", absl::StrCat(progress.targets_fetched(), " fetched, ",
                                           BytesText(progress.target_bytes()))});
  return absl::StrCat(TableText(rows), "\n", ProcessesTable(job));
}

}  // namespace reflux
