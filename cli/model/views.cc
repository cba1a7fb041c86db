// reflux-model views: how far maps derived from whole images are from live ones (docs/data.md).
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/model/commands.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "common/spec/job_teachers.h"
#include "common/spec/loss_fields.h"
#include "common/targets/view_choice.h"
#include "distill/evaluation/view_comparison.h"
#include "job_plan/data_plan.h"
#include "job_plan/teacher_plan.h"
#include "job_plan/view_plan.h"

namespace reflux {
namespace {

struct Flags {
  std::string job, whole = "whole";
  std::vector<std::string> overrides;
  int64_t images = 32, views = 1;
  bool json = false;
};

struct Row {
  ViewKind kind;
  ViewComparison comparison;
};

// The teacher's maps that the job's losses read, as far as their names say it.
absl::StatusOr<std::vector<TargetSpec>> SpecsOf(const v1::JobSpec& spec) {
  REFLUX_ASSIGN_OR_RETURN(const Codec codec, ParseCodec(spec.targets().codec()));
  std::set<std::string> taps = {"logits"};
  for (const LossTap& loss : TapsOfLosses(spec.losses())) taps.insert(loss.tap);
  std::vector<TargetSpec> specs;
  for (const std::string& tap : taps) {
    const bool logits_only = TopK(codec) > 0 && tap != "logits";
    specs.push_back({.tap = tap, .codec = logits_only ? Codec::kFp16 : codec});
  }
  return specs;
}

class Measurement {
 public:
  explicit Measurement(const Flags& flags) : flags_(flags) {}

  absl::Status Open() {
    REFLUX_ASSIGN_OR_RETURN(spec_, LoadJobFile(flags_.job, flags_.overrides));
    const std::set<std::string> used = UsedTeachers(spec_);
    if (used.size() != 1)
      return absl::InvalidArgumentError("the losses of the job must name one teacher");
    if (!spec_.teachers().at(*used.begin()).ensemble().empty())
      return absl::InvalidArgumentError("an ensemble's views are not measured: name a member");
    REFLUX_ASSIGN_OR_RETURN(Teacher teacher,
                            LoadTeacher(spec_.teachers().at(*used.begin()), spec_.data()));
    source_ = MakeLocalSource(std::move(teacher),
                              [root = DataRoot(spec_.data())](const Locator& locator) {
                                return ReadImageFile(root, locator);
                              },
                              {});
    REFLUX_ASSIGN_OR_RETURN(teacher_, source_->GetTeacherInfo({}));
    REFLUX_ASSIGN_OR_RETURN(val_, OpenValSplit(spec_.data()));
    spec_.mutable_targets()->set_views(flags_.whole);
    REFLUX_ASSIGN_OR_RETURN(options_.policy, PlanViews(spec_));
    if (!options_.policy.whole)
      return absl::InvalidArgumentError("--whole: expected `whole` or `whole: HxW`");
    REFLUX_ASSIGN_OR_RETURN(options_.specs, SpecsOf(spec_));
    options_.view_seed = spec_.data().view_seed();
    options_.images = flags_.images;
    options_.views = flags_.views;
    return absl::OkStatus();
  }

  absl::StatusOr<Row> Measure(ViewKind kind) {
    options_.kind = kind;
    Row row{.kind = kind};
    REFLUX_ASSIGN_OR_RETURN(row.comparison,
                            CompareViews(*source_, teacher_, *val_, options_, nullptr));
    return row;
  }

  double tolerance() const { return spec_.targets().whole_tolerance(); }

 private:
  const Flags& flags_;
  v1::JobSpec spec_;
  std::unique_ptr<TargetSource> source_;
  TeacherInfo teacher_;
  std::unique_ptr<Dataset> val_;
  ViewComparisonOptions options_;
};

void PrintRow(const Row& row) {
  for (const TapDifference& tap : row.comparison.taps) {
    const bool logits = tap.kl >= 0;
    absl::PrintF("%-6s  %-12s  %6.3f  %8s  %10s  %11s  %14s\n", Name(row.kind), tap.tap, tap.cosine,
                 logits ? absl::StrFormat("%.4f", tap.kl) : "-",
                 logits ? absl::StrFormat("%.3f", tap.agreement) : "-",
                 logits ? absl::StrFormat("%.2f", row.comparison.live_miou) : "-",
                 logits ? absl::StrFormat("%.2f", row.comparison.derived_miou) : "-");
  }
  std::fflush(stdout);  // the next kind takes a while
}

nlohmann::json ToJson(const Row& row) {
  nlohmann::json taps = nlohmann::json::array();
  for (const TapDifference& tap : row.comparison.taps) {
    nlohmann::json entry = {{"tap", tap.tap}, {"cosine", tap.cosine}, {"positions", tap.positions}};
    if (tap.kl >= 0) entry.update({{"kl", tap.kl}, {"same_class", tap.agreement}});
    taps.push_back(entry);
  }
  return {{"views", Name(row.kind)},
          {"images", row.comparison.images},
          {"count", row.comparison.views},
          {"live_miou", row.comparison.live_miou},
          {"derived_miou", row.comparison.derived_miou},
          {"taps", taps}};
}

absl::Status Run(const Flags& flags) {
  Measurement measurement(flags);
  REFLUX_RETURN_IF_ERROR(measurement.Open());
  if (!flags.json) {
    absl::PrintF("%-6s  %-12s  %6s  %8s  %10s  %11s  %14s\n", "views", "tap", "cosine", "KL",
                 "same class", "mIoU live", "mIoU derived");
  }
  nlohmann::json rows = nlohmann::json::array();
  double loss = 0;
  for (const ViewKind kind : {ViewKind::kCrop, ViewKind::kFlip, ViewKind::kScale, ViewKind::kAll}) {
    REFLUX_ASSIGN_OR_RETURN(const Row row, measurement.Measure(kind));
    loss = row.comparison.loss();
    if (flags.json) rows.push_back(ToJson(row));
    if (!flags.json) PrintRow(row);
  }
  const bool allowed = loss <= measurement.tolerance();
  if (flags.json) {
    const nlohmann::json json = {
        {"rows", rows}, {"tolerance", measurement.tolerance()}, {"whole_allowed", allowed}};
    std::puts(json.dump(2).c_str());
  } else {
    absl::PrintF(
        "the teacher loses %.2f points by views of all kinds together, %.2f are allowed: `%s` %s\n",
        loss, measurement.tolerance(), flags.whole, allowed ? "would be used" : "would be refused");
  }
  return absl::OkStatus();
}

}  // namespace

void AddViewsCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "views",
      "Measures how far maps derived from whole images (views `whole`) are from live ones");
  command->add_option("JOB", flags->job, "Job file: its teacher, validation images, crop and scale")
      ->required();
  command->add_option("--set", flags->overrides, "Override a field: path=value");
  command->add_option("--whole", flags->whole, "`whole`, or `whole: HxW` to ask at another size")
      ->capture_default_str();
  command->add_option("--images", flags->images, "Validation images")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command->add_option("--views", flags->views, "Views of each")
      ->check(CLI::Range(int64_t{1}, int64_t{64}))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, exit_code] {
    const absl::Status status = Run(*flags);
    *exit_code = status.ok() ? kExitDone : Fail(status);
  });
}

}  // namespace reflux
