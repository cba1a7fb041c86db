#include "planner/plan_text.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/table.h"
#include "planner/plan_figures.h"

namespace reflux {
namespace {

std::string FactsText(const Plan& plan) {
  const Forecast& forecast = plan.forecast;
  const std::string taps = TapsText(plan.taps);
  TextRows rows = {
      {"job:", absl::StrCat(plan.name, ": ", plan.job.images, " images, ", plan.job.steps,
                            " steps of ", plan.job.global_batch, ", ", plan.views)},
      {"a view:", absl::StrCat(taps, "; together ", Bytes(plan.measured.view_bytes))},
      {"cache:",
       absl::StrFormat("%s for %d views, %s of them missing; %s free", Bytes(forecast.cache_bytes),
                       plan.job.views, Bytes(forecast.missing_bytes),
                       Bytes(plan.measured.free_disk_bytes))},
      {"fill:", absl::StrFormat("%s for %d views at %.3g a second", Clock(forecast.fill_seconds),
                                plan.job.missing_views, 1 / plan.measured.view_seconds)},
      {"drive:", DriveText(plan.drive)}};
  if (!plan.note.empty()) rows.push_back({"note:", plan.note});
  return TableText(rows);
}

std::string ModesText(const Plan& plan) {
  TextRows rows = {{"MODE", "S/STEP", "WHILE FILLING", "RUN", ""}};
  if (plan.measured.alone_step > 0) {
    rows.push_back({"student alone", Seconds(plan.measured.alone_step), "-",
                    Clock(plan.measured.alone_step * static_cast<double>(plan.job.steps)),
                    "no teacher"});
  }
  for (const ModeForecast& mode : plan.forecast.modes) {
    rows.push_back({mode.name, Seconds(mode.step_seconds), Seconds(mode.filling_seconds),
                    Clock(mode.run_seconds),
                    !mode.possible                           ? "not with several students"
                    : mode.name == plan.forecast.recommended ? "recommended"
                                                             : ""});
  }
  return TableText(rows);
}

std::string ViewsText(const Plan& plan) {
  TextRows rows = {{"VIEWS", "CACHE", "FILL", "RUN FROM AN EMPTY CACHE"}};
  for (const ViewRow& row : plan.view_rows) {
    const bool kept = row.cache_bytes > 0;
    rows.push_back({row.views, kept ? Bytes(row.cache_bytes) : "-",
                    kept ? Clock(row.fill_seconds) : "-", Clock(row.run_seconds)});
  }
  return TableText(rows);
}

std::string CodecsText(const Plan& plan) {
  TextRows rows = {{"CODEC", "A VIEW", "ERROR", "ENCODE MS", "DECODE MS"}};
  for (const CodecMeasure& codec : plan.codecs) {
    rows.push_back({codec.name, Bytes(codec.view_bytes), absl::StrFormat("%.2g", codec.error),
                    absl::StrFormat("%.3g", 1e3 * codec.encode_seconds),
                    absl::StrFormat("%.3g", 1e3 * codec.decode_seconds)});
  }
  return TableText(rows);
}

std::string AdviceText(const Plan& plan) {
  const Forecast& forecast = plan.forecast;
  std::string pays = "never: a warm step is no faster than a live one";
  if (forecast.paying_runs.has_value()) {
    pays = absl::StrFormat("from %d %s over these views; in a single run from %.1f epochs on",
                           *forecast.paying_runs, *forecast.paying_runs == 1 ? "run" : "runs",
                           forecast.paying_epochs);
  }
  const auto text = [](const Advice& advice) {
    return absl::StrCat(advice.name, " (", advice.reason, ")");
  };
  return TableText({{"caching pays:", pays},
                    {"recommended:", text({forecast.recommended, forecast.reason})},
                    {"views:", text(plan.view_advice)},
                    {"reduce:", text(plan.reduction_advice)},
                    {"codec:", text(plan.codec_advice)}});
}

}  // namespace

std::vector<std::string> PlanWarnings(const Plan& plan) {
  std::vector<std::string> warnings = {DriveWarning(plan.drive)};
  if (plan.job.students > 1) {
    warnings.push_back(absl::StrCat("one of ", plan.job.students,
                                    " students was timed, alone: neither the exchange of "
                                    "gradients nor the others' load is in the steps"));
  }
  const std::optional<std::string> codec = WarnOfCodec(plan.codec, plan.codecs);
  if (codec.has_value()) warnings.push_back(*codec);
  warnings.insert(warnings.end(), plan.forecast.warnings.begin(), plan.forecast.warnings.end());
  return warnings;
}

std::string PlanText(const Plan& plan) {
  std::string text = absl::StrCat(CoverageText(plan.coverage, /*why=*/true), FactsText(plan), "\n",
                                  ModesText(plan), "\n", ViewsText(plan), "\n", CodecsText(plan),
                                  "\n", AdviceText(plan));
  for (const std::string& warning : PlanWarnings(plan)) {
    absl::StrAppend(&text, "warning: ", warning, "\n");
  }
  return text;
}

std::string PlanJson(const Plan& plan) {
  const Forecast& forecast = plan.forecast;
  const Measured& m = plan.measured;
  nlohmann::json json = nlohmann::json::parse(CoverageJson(plan.coverage));
  json = {{"job", plan.name}, {"coverage", std::move(json)}, {"note", plan.note}};
  json["images"] = plan.job.images;
  json["steps"] = plan.job.steps;
  json["global_batch"] = plan.job.global_batch;
  json["replay"] = plan.job.replay;
  json["views"] = plan.job.views;
  json["missing_views"] = plan.job.missing_views;
  json["cache_bytes"] = forecast.cache_bytes;
  json["missing_bytes"] = forecast.missing_bytes;
  json["fill_seconds"] = forecast.fill_seconds;
  json["measured"] = {{"view_bytes", m.view_bytes},     {"view_seconds", m.view_seconds},
                      {"alone_step", m.alone_step},     {"live_step", m.live_step},
                      {"warm_step", m.warm_step},       {"served_step", m.served_step},
                      {"drive_write", m.drive_write},   {"drive_read", m.drive_read},
                      {"memory_bytes", m.memory_bytes}, {"free_disk_bytes", m.free_disk_bytes}};
  json["taps"] = TapsJson(plan.taps);
  for (const ModeForecast& mode : forecast.modes) {
    json["modes"].push_back({{"name", mode.name},
                             {"step_seconds", mode.step_seconds},
                             {"filling_seconds", mode.filling_seconds},
                             {"run_seconds", mode.run_seconds},
                             {"possible", mode.possible}});
  }
  for (const CodecMeasure& codec : plan.codecs) {
    json["codecs"].push_back({{"name", codec.name},
                              {"view_bytes", codec.view_bytes},
                              {"error", codec.error},
                              {"encode_seconds", codec.encode_seconds},
                              {"decode_seconds", codec.decode_seconds}});
  }
  for (const ViewRow& row : plan.view_rows) {
    json["view_rows"].push_back({{"views", row.views},
                                 {"cache_bytes", row.cache_bytes},
                                 {"fill_seconds", row.fill_seconds},
                                 {"run_seconds", row.run_seconds}});
  }
  json["whole"] = plan.whole;
  if (forecast.paying_runs.has_value()) json["paying_runs"] = *forecast.paying_runs;
  json["paying_epochs"] = forecast.paying_epochs;
  json["recommended"] = {
      {"mode", forecast.recommended},         {"reason", forecast.reason},
      {"views", plan.view_advice.name},       {"views_reason", plan.view_advice.reason},
      {"reduce", plan.reduction_advice.name}, {"reduce_reason", plan.reduction_advice.reason},
      {"codec", plan.codec_advice.name},      {"codec_reason", plan.codec_advice.reason}};
  json["warnings"] = PlanWarnings(plan);
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace reflux
