// The grid of a sweep: every combination of its axes' values. Thread-safe, no I/O.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/spec/spec_node.h"

namespace reflux {

inline constexpr size_t kMaxSweepJobs = 256;

// One value of each axis.
struct GridPoint {
  std::string name;                     // "seed-0", for the job's name; empty without a grid
  std::vector<SpecNode::Entry> fields;  // path and value
};

// In the order of the file, the last axis fastest. `grid` was checked (sweep_check.h) or is null,
// which is one point without fields. InvalidArgument for more than kMaxSweepJobs points.
absl::StatusOr<std::vector<GridPoint>> GridPoints(const SpecNode* grid);

// InvalidArgument when `root`, the base with a variant, removes a block (`losses: {kd: ~}`) that
// the field is in: its value would bring the block back.
absl::Status CheckNotRemoved(const SpecNode& root, const SpecNode::Entry& field,
                             const std::string& variant);

// InvalidArgument "sweep.yaml:7: path: text".
absl::Status ProblemAt(const SpecNode& node, const std::string& path, const std::string& text);

}  // namespace reflux
