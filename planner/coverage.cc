#include "planner/coverage.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace reflux {
namespace {

// Where the counts of each spec of `part` stand in `coverage`, which gets those that are new.
std::vector<size_t> RowsOf(const NeedsPart& part, Coverage& coverage) {
  std::vector<size_t> rows;
  for (const TargetSpec& spec : part.teacher.specs) {
    const auto same = [&](const SpecCoverage& row) {
      return row.servers == part.servers && row.wanted.spec == spec &&
             row.wanted.teacher == part.teacher.info.identity;
    };
    const auto found = std::find_if(coverage.specs.begin(), coverage.specs.end(), same);
    rows.push_back(found - coverage.specs.begin());
    if (found != coverage.specs.end()) continue;
    coverage.specs.push_back({.teacher = part.teacher.name,
                              .servers = part.servers,
                              .wanted = {.dataset = part.dataset,
                                         .teacher = part.teacher.info.identity,
                                         .spec = spec,
                                         .model = part.teacher.info.model}});
  }
  return rows;
}

absl::Status CountPart(const NeedsPart& part, CacheInventory& inventory, Coverage& coverage) {
  const std::vector<size_t> rows = RowsOf(part, coverage);
  for (const size_t row : rows) {
    coverage.specs[row].targets += static_cast<int64_t>(part.samples.size());
  }
  PartCoverage counts{.held_of = std::vector<int64_t>(rows.size())};
  TargetRequest request{.teacher = part.teacher.info.identity, .specs = part.teacher.specs};
  for (size_t first = 0; first < part.samples.size(); first += TargetRequest::kMaxSamples) {
    const size_t end = std::min(part.samples.size(), first + TargetRequest::kMaxSamples);
    request.samples.assign(part.samples.begin() + first, part.samples.begin() + end);
    REFLUX_ASSIGN_OR_RETURN(const std::vector<bool> held, inventory.Held(request));
    for (size_t i = 0; i < held.size(); i += rows.size()) {
      size_t there = 0;
      for (size_t spec = 0; spec < rows.size(); ++spec) {
        there += held[i + spec];
        counts.held_of[spec] += held[i + spec];
        coverage.specs[rows[spec]].held += held[i + spec];
      }
      counts.held += static_cast<int64_t>(there);
      counts.missing_samples += there < rows.size();
    }
  }
  coverage.parts.push_back(counts);
  return absl::OkStatus();
}

absl::Status FindNearest(const Inventories& inventories, Coverage& coverage) {
  std::map<std::string, std::vector<StoredSet>> sets;
  for (SpecCoverage& spec : coverage.specs) {
    if (spec.held == spec.targets) continue;
    if (sets.count(spec.servers) == 0) {
      REFLUX_ASSIGN_OR_RETURN(sets[spec.servers], inventories.at(spec.servers)->Sets());
    }
    spec.nearest = FindNearestSet(spec.wanted, sets.at(spec.servers));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t Coverage::targets() const {
  int64_t sum = 0;
  for (const SpecCoverage& spec : specs) sum += spec.targets;
  return sum;
}

int64_t Coverage::held() const {
  int64_t sum = 0;
  for (const SpecCoverage& spec : specs) sum += spec.held;
  return sum;
}

absl::StatusOr<Coverage> MeasureCoverage(const std::vector<NeedsPart>& parts,
                                         const Inventories& inventories) {
  Coverage coverage;
  for (const NeedsPart& part : parts) {
    REFLUX_RETURN_IF_ERROR(CountPart(part, *inventories.at(part.servers), coverage));
  }
  REFLUX_RETURN_IF_ERROR(FindNearest(inventories, coverage));
  return coverage;
}

}  // namespace reflux
