#include "planner/advice.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/table.h"

namespace reflux {
namespace {

constexpr double kFineError = 1e-3, kCoarseError = 1e-2;
// Less than a tenth is not worth another set of targets.
constexpr double kClearlySmaller = 0.9;

const CodecMeasure* Find(const std::string& name, const std::vector<CodecMeasure>& codecs) {
  const auto found = std::ranges::find(codecs, name, &CodecMeasure::name);
  return found == codecs.end() ? nullptr : &*found;
}

// What was measured of the job's own views, with another kind's in its place.
Measured With(const Measured& m, const MapCost& cost) {
  Measured with = m;
  with.view_bytes = cost.bytes;
  with.view_seconds = cost.seconds;
  with.live_step = cost.live_step;
  with.warm_step = cost.warm_step;
  if (m.served_step > 0) {
    with.served_step = cost.warm_step + std::max(0.0, m.served_step - m.warm_step);
  }
  return with;
}

ViewRow RowOf(const std::string& views, int64_t replay, ForecastJob job, const Measured& m) {
  job.replay = replay;
  job.views = std::min(job.images * replay, job.steps * job.global_batch);
  job.missing_views = job.views;
  job.missing_time = job.missing_bytes = 1;
  const Forecast forecast = MakeForecast(job, m);
  ViewRow row{.views = views,
              .cache_bytes = forecast.cache_bytes,
              .fill_seconds = forecast.fill_seconds,
              .run_seconds = std::numeric_limits<double>::infinity()};
  for (const ModeForecast& mode : forecast.modes) {
    if (mode.possible && mode.name != kLiveMode) {
      row.run_seconds = std::min(row.run_seconds, mode.run_seconds);
    }
  }
  return row;
}

}  // namespace

Advice AdviseCodec(const std::string& current, const std::vector<CodecMeasure>& codecs,
                   const ForecastJob& job, const Measured& m) {
  const CodecMeasure* now = Find(current, codecs);
  if (now == nullptr) return {current, "it was not measured"};
  const auto forecast_with = [&](const CodecMeasure& codec) {
    Measured with = m;
    with.view_bytes = codec.view_bytes;
    return MakeForecast(job, with);
  };
  const Forecast before = forecast_with(*now);
  const bool tight = before.drive_bound || before.missing_bytes > m.free_disk_bytes;
  const double limit = std::max(now->error, tight ? kCoarseError : kFineError);
  const CodecMeasure* best = now;
  for (const CodecMeasure& codec : codecs) {
    const double more_time =
        codec.encode_seconds + codec.decode_seconds - best->encode_seconds - best->decode_seconds;
    // Compression pays when bytes are scarce.
    const bool cheap =
        tight || more_time < 0.01 * m.warm_step / static_cast<double>(job.global_batch);
    const bool smaller = codec.view_bytes < kClearlySmaller * best->view_bytes;
    if (codec.error <= limit && smaller && cheap) best = &codec;
  }
  if (best == now) return {current, "none is clearly smaller within the same error"};
  return {best->name, absl::StrFormat("%.2f of the bytes of %s at an error of %.2g",
                                      best->view_bytes / now->view_bytes, current, best->error)};
}

std::optional<std::string> WarnOfCodec(const std::string& current,
                                       const std::vector<CodecMeasure>& codecs) {
  const CodecMeasure* now = Find(current, codecs);
  if (now == nullptr || now->error <= kCoarseError) return std::nullopt;
  return absl::StrFormat(
      "targets.codec %s changes the teacher's maps by %.2g of their root mean square: the student "
      "learns from something else",
      current, now->error);
}

std::vector<ViewRow> ForecastViews(const ForecastJob& job, const Measured& m,
                                   const KindCosts& costs) {
  std::vector<ViewRow> rows;
  if (costs.whole.has_value()) {
    rows.push_back(RowOf(costs.whole_views, 1, job, With(m, *costs.whole)));
  }
  const Measured replayed = With(m, costs.replayed);
  std::set<int64_t> counts = {1, 4, 16};
  if (job.replay > 0) counts.insert(job.replay);
  for (const int64_t replay : counts) {
    rows.push_back(RowOf(absl::StrCat("replay: ", replay), replay, job, replayed));
  }
  rows.push_back({.views = kLiveMode,
                  .run_seconds = costs.replayed.live_step * static_cast<double>(job.steps)});
  return rows;
}

Advice AdviseReduction(double none_bytes, double auto_bytes, bool whole) {
  if (auto_bytes >= kClearlySmaller * none_bytes) {
    return {"none", "the losses read the whole of their maps"};
  }
  const std::string saved = absl::StrFormat("%s a view instead of %s, at the same loss",
                                            BytesText(static_cast<int64_t>(auto_bytes)),
                                            BytesText(static_cast<int64_t>(none_bytes)));
  if (whole) return {"none", "maps of whole images are kept whole; with replayed views, " + saved};
  return {"auto", saved};
}

}  // namespace reflux
