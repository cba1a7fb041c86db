#include "planner/sweep_plan_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/table.h"
#include "planner/plan_figures.h"

namespace reflux {
namespace {

std::string FactsText(const SweepPlan& plan) {
  const NeedsCost& cost = plan.cost;
  const double rate =
      cost.fill_seconds > 0 ? static_cast<double>(cost.missing_views) / cost.fill_seconds : 0;
  TextRows rows = {
      {"sweep:", absl::StrFormat("%s: %d jobs, %d of them read a teacher", plan.name, plan.jobs,
                                 plan.forecast.students)},
      {"targets:", TapsText(plan.taps)},
      {"cache:", absl::StrFormat("%s for %d targets, %s of them missing; %s free on the disk",
                                 Bytes(cost.bytes), cost.targets, Bytes(cost.missing_bytes),
                                 Bytes(plan.machine.free_disk_bytes))},
      {"fill:", absl::StrFormat("%s for %d views%s", Clock(cost.fill_seconds), cost.missing_views,
                                rate > 0 ? absl::StrFormat(" at %.3g a second", rate) : "")},
      {"drive:", DriveText(plan.machine.drive)}};
  for (const std::string& note : plan.notes) rows.push_back({"note:", note});
  return TableText(rows);
}

// One run of each variant.
std::string VariantsText(const SweepPlan& plan) {
  TextRows rows = {{"A RUN OF", "JOBS", "STEPS"}};
  for (const SweepMode& mode : plan.forecast.modes) {
    rows[0].push_back(absl::AsciiStrToUpper(mode.name));
    rows[0].push_back("S/STEP");
  }
  for (size_t i = 0; i < plan.rows.size(); ++i) {
    const SweepRow& row = plan.rows[i];
    rows.push_back({row.name, absl::StrCat(row.jobs), absl::StrCat(row.job.steps)});
    for (const ModeForecast& mode : plan.forecast.rows[i].modes) {
      rows.back().push_back(Clock(mode.run_seconds));
      rows.back().push_back(Seconds(mode.step_seconds));
    }
  }
  return TableText(rows);
}

std::string ModesText(const SweepPlan& plan) {
  TextRows rows = {{"ALL RUNS", "FILL", "RUNS", "TOGETHER", ""}};
  for (const SweepMode& mode : plan.forecast.modes) {
    rows.push_back({mode.name, mode.name == kLiveMode ? "-" : Clock(mode.fill_seconds),
                    Clock(mode.run_seconds), Clock(mode.seconds()),
                    !mode.possible                           ? "not with several students a job"
                    : mode.name == plan.forecast.recommended ? "recommended"
                                                             : ""});
  }
  return TableText(rows);
}

std::string AdviceText(const SweepPlan& plan) {
  const SweepForecast& forecast = plan.forecast;
  std::string pays = "never: warm steps are no faster than live ones";
  if (forecast.paying_students.has_value()) {
    pays =
        absl::StrFormat("from %d %s like these on; the sweep has %d", *forecast.paying_students,
                        *forecast.paying_students == 1 ? "student" : "students", forecast.students);
  }
  return TableText(
      {{"caching pays:", pays},
       {"recommended:", absl::StrCat(forecast.recommended, " (", forecast.reason, ")")}});
}

nlohmann::json RowJson(const SweepRow& row, const SweepRowForecast& forecast) {
  nlohmann::json json = {{"name", row.name},
                         {"jobs", row.jobs},
                         {"steps", row.job.steps},
                         {"views", row.job.views},
                         {"view_bytes", row.measured.view_bytes},
                         {"view_seconds", row.measured.view_seconds}};
  for (const ModeForecast& mode : forecast.modes) {
    json["modes"].push_back({{"name", mode.name},
                             {"step_seconds", mode.step_seconds},
                             {"run_seconds", mode.run_seconds},
                             {"possible", mode.possible}});
  }
  return json;
}

}  // namespace

std::vector<std::string> SweepPlanWarnings(const SweepPlan& plan) {
  std::vector<std::string> warnings = {DriveWarning(plan.machine.drive)};
  for (const SweepRow& row : plan.rows) {
    if (row.job.students == 1) continue;
    warnings.emplace_back(
        "one student of each variant was timed, alone: neither the exchange of gradients nor the "
        "others' load is in the steps");
    break;
  }
  warnings.emplace_back("runs are taken to follow each other; at once they share the machine");
  warnings.insert(warnings.end(), plan.forecast.warnings.begin(), plan.forecast.warnings.end());
  return warnings;
}

std::string SweepPlanText(const SweepPlan& plan) {
  std::string text =
      absl::StrCat(CoverageText(plan.coverage, /*why=*/true), FactsText(plan), "\n",
                   VariantsText(plan), "\n", ModesText(plan), "\n", AdviceText(plan));
  for (const std::string& warning : SweepPlanWarnings(plan)) {
    absl::StrAppend(&text, "warning: ", warning, "\n");
  }
  return text;
}

std::string SweepPlanJson(const SweepPlan& plan) {
  const SweepForecast& forecast = plan.forecast;
  nlohmann::json json = {{"sweep", plan.name},
                         {"jobs", plan.jobs},
                         {"students", forecast.students},
                         {"coverage", nlohmann::json::parse(CoverageJson(plan.coverage))},
                         {"cache_bytes", plan.cost.bytes},
                         {"missing_bytes", plan.cost.missing_bytes},
                         {"missing_views", plan.cost.missing_views},
                         {"fill_seconds", plan.cost.fill_seconds},
                         {"machine", MachineJson(plan.machine)},
                         {"taps", TapsJson(plan.taps)},
                         {"notes", plan.notes}};
  for (size_t i = 0; i < plan.rows.size(); ++i) {
    json["runs"].push_back(RowJson(plan.rows[i], forecast.rows[i]));
  }
  for (const SweepMode& mode : forecast.modes) {
    json["modes"].push_back({{"name", mode.name},
                             {"fill_seconds", mode.fill_seconds},
                             {"run_seconds", mode.run_seconds},
                             {"seconds", mode.seconds()},
                             {"possible", mode.possible}});
  }
  if (forecast.paying_students.has_value()) json["paying_students"] = *forecast.paying_students;
  json["recommended"] = {{"mode", forecast.recommended}, {"reason", forecast.reason}};
  json["warnings"] = SweepPlanWarnings(plan);
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace reflux
