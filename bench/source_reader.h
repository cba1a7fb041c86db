// The target path of a student, from a source to the rows of a batch. Torch-free.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/target_reader.h"
#include "common/targets/target.h"

namespace reflux {

// Fetches these values in one request, as a student does a batch, and copies each into its row.
absl::Status FetchIntoRows(TargetSource& source, const std::vector<int>& numbers, BatchRows& rows);

// A student on the host of the cache server at `endpoint`, which reads the files that the server
// names. A value that was sent instead is an error. One request a Read; any number of threads.
std::unique_ptr<TargetReader> MakeSameHostReader(const std::string& endpoint);

// One request a Read; any number of threads.
std::unique_ptr<TargetReader> MakeSourceReader(std::shared_ptr<TargetSource> source);

}  // namespace reflux
