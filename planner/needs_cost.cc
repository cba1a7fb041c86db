#include "planner/needs_cost.h"

#include <algorithm>

namespace reflux {
namespace {

struct PartBytes {
  double all = 0, missing = 0;
};

PartBytes BytesOf(const NeedsPart& part, const PartCoverage& coverage, const ViewCosts& costs) {
  PartBytes bytes;
  const auto samples = static_cast<double>(part.samples.size());
  for (size_t i = 0; i < part.teacher.specs.size(); ++i) {
    double all = 0;
    for (const SampleRef& sample : part.samples) {
      all += costs.Bytes(part.teacher.info.identity, part.teacher.specs[i], sample.view);
    }
    bytes.all += all;
    bytes.missing += all * (samples - static_cast<double>(coverage.held_of[i])) / samples;
  }
  return bytes;
}

}  // namespace

NeedsCost CostOf(const std::vector<NeedsPart>& parts, const Coverage& coverage,
                 const ViewCosts& costs, double drive_write) {
  NeedsCost cost;
  for (size_t i = 0; i < parts.size(); ++i) {
    const NeedsPart& part = parts[i];
    const PartCoverage& covered = coverage.parts[i];
    const PartBytes bytes = BytesOf(part, covered, costs);
    double teacher = 0;
    for (const SampleRef& sample : part.samples) {
      teacher += costs.Seconds(part.teacher.info.identity, sample.view);
    }
    const double missing =
        static_cast<double>(covered.missing_samples) / static_cast<double>(part.samples.size());
    cost.targets += part.targets();
    cost.bytes += bytes.all;
    cost.missing_bytes += bytes.missing;
    cost.missing_views += covered.missing_samples;
    const double writing = drive_write > 0 ? bytes.missing / drive_write : 0;
    cost.fill_seconds += std::max(teacher * missing, writing);
  }
  return cost;
}

}  // namespace reflux
